//! What goes between the consumer's thread and the hub: records there, and how far they are safe back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tripline_model::{FunctionName, Identity, Offer, Receipt, Rejected};

/// Records in one hand-over, at most.
pub(crate) const MAX_RECORDS: usize = 1_000;

/// Bytes in one hand-over before it is closed; a single record may be larger.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// How long a record keeps its identity that lost its place in the stream; see [`settle`].
const LATE_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// One assignment of one partition to this consumer. Records of an assignment that is over are not offered any more.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    live: AtomicBool,
}

/// A record on its way to the hub.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) lease: Arc<Lease>,
    pub(crate) offset: u64,
    /// `None`: no event comes of it, in its turn.
    pub(crate) offer: Option<Offer>,
    /// How many offsets up to this one cannot be read.
    pub(crate) unreadable: u64,
}

/// How far the records of a hand-over are safe.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Offsets below the number are safe or skipped; in order.
    pub(crate) reached: Vec<(Arc<Lease>, u64)>,
    /// Nothing more comes of this hand-over.
    pub(crate) finished: bool,
}

/// What the hub's answers come to.
#[derive(Debug, Default)]
pub(crate) struct SettleOutcome {
    pub(crate) reached: Vec<(Arc<Lease>, u64)>,
    /// Records that the hub will never take, with the reason.
    pub(crate) refused: Vec<(Arc<Lease>, u64, Rejected)>,
    /// Offsets that could not be read.
    pub(crate) unreadable: u64,
    /// Why the rest is to be offered again.
    pub(crate) again: Option<Rejected>,
    /// The trigger's function does not exist.
    pub(crate) unknown_function: Option<FunctionName>,
}

// === impl Lease ===

impl Lease {
    pub(crate) fn new(topic: &str, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
            live: AtomicBool::new(true),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.live.store(false, Ordering::Release);
    }
}

/// Takes the hub's answers, one for each record that has an offer. What is settled leaves `records`; the first refusal
/// that passes keeps itself and everything behind it there, to be offered again in order.
pub(crate) fn settle(
    records: &mut Vec<Carried>,
    answers: Vec<Result<Receipt, Rejected>>,
) -> SettleOutcome {
    let mut outcome = SettleOutcome::default();
    let mut answers = answers.into_iter();
    let mut behind = Vec::new();
    let mut settled = 0;
    for (at, record) in records.iter().enumerate() {
        let answer = match record.offer {
            // One answer is missing: nothing is known of the record, and it is offered again.
            Some(_) => answers.next().unwrap_or(Err(Rejected::Unavailable)),
            None => Ok(Receipt::Past),
        };
        if settled < at {
            behind.push((at, answer.is_ok() && record.offer.is_some()));
            continue;
        }
        match answer {
            Ok(_) => {}
            Err(Rejected::UnknownFunction(name)) => {
                outcome.unknown_function = Some(name);
                break;
            }
            Err(passing) if passing.is_passing() => {
                outcome.again = Some(passing);
                behind.push((at, false));
                continue;
            }
            Err(refusal) => {
                outcome
                    .refused
                    .push((Arc::clone(&record.lease), record.offset, refusal));
            }
        }
        outcome.unreadable += record.unreadable;
        settled = at + 1;
        match outcome.reached.last_mut() {
            Some((lease, next)) if Arc::ptr_eq(lease, &record.lease) => *next = record.offset + 1,
            _ => outcome
                .reached
                .push((Arc::clone(&record.lease), record.offset + 1)),
        }
    }
    keep_identities(records, &behind);
    records.drain(..settled);
    outcome
}

/// A record that was refused while one behind it in its partition was accepted lies below the watermark now, and would
/// be taken for known. It gets an identity of its own.
fn keep_identities(records: &mut [Carried], behind: &[(usize, bool)]) {
    let mut overtaken = BTreeSet::new();
    for (at, accepted) in behind.iter().rev() {
        let record = &mut records[*at];
        let partition = (Arc::clone(&record.lease.topic), record.lease.partition);
        if *accepted {
            overtaken.insert(partition);
            continue;
        }
        if !overtaken.contains(&partition) {
            continue;
        }
        if let Some(offer) = &mut record.offer
            && let Identity::Position { stream, position } = &offer.identity
        {
            let key = format!("{stream}/{position}");
            offer.identity = Identity::Key {
                key,
                window: LATE_WINDOW,
                digest: None,
            };
        }
    }
}

#[cfg(test)]
mod tests;
