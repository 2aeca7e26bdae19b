//! What the clients did, and what they were told: the only truth besides the functions' ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by all clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Observations>>);

/// Every event is known by its mark, which the hub shows as the event's subject.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    /// Calls over HTTP.
    pub(crate) calls: BTreeMap<String, Call>,
    /// Records, and whether the broker said that it has them.
    pub(crate) records: BTreeMap<String, bool>,
    /// Objects, and whether the store said that it has them.
    pub(crate) objects: BTreeMap<String, bool>,
    /// By RequestId, the last state that was seen.
    pub(crate) seen: BTreeMap<String, String>,
    /// By partition and position, when the broker was first seen to keep this position of the hub's group, in milliseconds
    /// since 1970: the next record to read.
    pub(crate) committed: BTreeMap<(i32, i64), i64>,
    /// RequestIds of which something was alive when they had ended, and did not show it.
    pub(crate) outlived: BTreeSet<String>,
    /// Secrets at functions that should not have them, in words.
    pub(crate) leaks: BTreeSet<String>,
    /// How often a function was seen to have its own.
    pub(crate) kept: usize,
    /// States that went back, in words.
    pub(crate) went_back: BTreeSet<String>,
    /// Answers of the hub that no client should ever get, in words.
    pub(crate) strange: BTreeSet<String>,
}

/// One event by HTTP: sent once, or with an idempotency key until there is an answer.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// In order; a call on its way has one less than it was sent.
    pub(crate) answers: Vec<Answer>,
    /// How often it was sent.
    pub(crate) sent: usize,
}

/// What a caller was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 202 and this RequestId.
    Receipt(String),
    /// `accepted: "no"`.
    Refused,
    /// `accepted: "unknown"`, or no answer at all.
    Unknown,
}

/// How far a state is on its way; an end is the last.
fn rank(state: &str) -> u8 {
    match state {
        "accepted" => 0,
        "running" => 1,
        _ => 2,
    }
}

// === impl History ===

impl History {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Observations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call is about to be sent.
    pub(crate) fn sends(&self, mark: &str) {
        self.lock().calls.entry(mark.to_owned()).or_default().sent += 1;
    }

    /// A call has its answer, or never will.
    pub(crate) fn answered(&self, mark: &str, answer: Answer) {
        let mut observed = self.lock();
        observed
            .calls
            .entry(mark.to_owned())
            .or_default()
            .answers
            .push(answer);
    }

    /// Somebody looked for secrets at functions.
    pub(crate) fn noted(&self, leaks: BTreeSet<String>, was_kept: bool) {
        let mut observed = self.lock();
        observed.leaks.extend(leaks);
        observed.kept += usize::from(was_kept);
    }

    /// The broker keeps this position of the hub's group.
    pub(crate) fn committed(&self, partition: i32, next: i64, at: i64) {
        let mut observed = self.lock();
        observed.committed.entry((partition, next)).or_insert(at);
    }

    /// Somebody looked at an invocation. Says whether it is over, and was not when they looked before.
    pub(crate) fn saw(&self, id: &str, state: &str) -> bool {
        let mut observed = self.lock();
        let before = observed.seen.insert(id.to_owned(), state.to_owned());
        let Some(before) = before else {
            return rank(state) == 2;
        };
        let changed_its_end = rank(&before) == 2 && before != state;
        if rank(&before) > rank(state) || changed_its_end {
            observed
                .went_back
                .insert(format!("{id} was {before}, then {state}"));
        }
        rank(&before) < rank(state) && rank(state) == 2
    }
}

// === impl Observations ===

impl Observations {
    /// The receipts that were handed out.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.calls.iter().flat_map(|(mark, call)| {
            call.answers.iter().filter_map(move |answer| match answer {
                Answer::Receipt(id) => Some((mark.as_str(), id.as_str())),
                Answer::Refused | Answer::Unknown => None,
            })
        })
    }

    /// Whether this mark was ever sent, by anybody.
    pub(crate) fn was_sent(&self, mark: &str) -> bool {
        self.calls.contains_key(mark)
            || self.records.contains_key(mark)
            || self.objects.contains_key(mark)
    }

    /// Calls that are on their way.
    pub(crate) fn on_their_way(&self) -> usize {
        let open = |call: &&Call| call.sent > call.answers.len();
        self.calls.values().filter(open).count()
    }
}

// === impl Call ===

impl Call {
    /// Whether every answer was a refusal.
    pub(crate) fn only_refused(&self) -> bool {
        !self.answers.is_empty()
            && self.sent == self.answers.len()
            && self.answers.iter().all(|answer| *answer == Answer::Refused)
    }
}
