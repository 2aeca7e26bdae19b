//! What the outside world knows: what happened, what was offered, and what was answered. The hub cannot see it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tripline_model::{
    Event, FunctionName, Identity, Invocation, InvocationState, Offer, Receipt, Rejected,
    RequestId, Timestamp, TriggerName,
};

use crate::check::{SEEN, against};
use crate::mutant::Mutant;
use crate::script::Kind;

/// How long keys are remembered: longer than all jumps of the clock together.
const WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bytes of an event: more than one page of the database, sometimes.
const SIZES: [usize; 4] = [8, 100, 700, 9000];

/// How an occurrence is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// A call without a key.
    Unique,
    /// A call with a key.
    Key,
    /// Told by an object store. Two occurrences can have the same sequencer.
    Notice { sequencer: usize },
    /// A record of a log: which incarnation of it, and where.
    Record { topic: u64, at: u64 },
    /// A tick of a timer, at a time.
    Tick { at: u64 },
}

/// One thing that happened outside.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    pub(crate) way: Way,
    pub(crate) function: &'static str,
    pub(crate) kind: Kind,
    /// How often it was offered, and how often that was refused for good or for now.
    pub(crate) offered: u32,
    pub(crate) refused: u32,
    /// Ids that somebody outside has heard for it.
    pub(crate) ids: Vec<RequestId>,
    /// Whether somebody was told that it was accepted before.
    pub(crate) past: bool,
    /// Whether nobody will offer it again of their own accord.
    pub(crate) settled: bool,
}

/// A state that somebody outside saw.
pub(crate) type Seen = (InvocationState, Option<Timestamp>);

/// See the module.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) occurrences: Vec<Occurrence>,
    /// The newest state that was seen of each id.
    pub(crate) seen: BTreeMap<RequestId, Seen>,
    /// When events were accepted as new in each life: no clock jumps in these times.
    pub(crate) accepted: Vec<Vec<Duration>>,
    /// What was found wrong while it happened.
    pub(crate) wrong: Vec<String>,
}

impl Occurrence {
    /// Through which trigger; `None` is the API.
    pub(crate) fn trigger(&self) -> Option<&'static str> {
        match self.way {
            Way::Unique | Way::Key => None,
            Way::Notice { .. } => Some("objects"),
            Way::Record { .. } => Some("orders"),
            Way::Tick { .. } => Some("timer"),
        }
    }

    /// Whether all that were told anything were told "no".
    pub(crate) fn is_refused(&self) -> bool {
        self.offered > 0 && self.refused == self.offered
    }

    fn identity(&self, number: usize, mutant: Option<Mutant>) -> Identity {
        let key = |key: String| Identity::Key {
            key,
            window: WINDOW,
            digest: None,
        };
        match &self.way {
            Way::Unique => Identity::Unique,
            Way::Key => key(format!("key-{number}")),
            Way::Notice { sequencer } if mutant == Some(Mutant::SequencerOnly) => {
                key(format!("seq-{sequencer}"))
            }
            Way::Notice { sequencer } => key(format!("object-{number}/{sequencer}")),
            Way::Record { topic, at } => Identity::Position {
                stream: stream(*topic, mutant),
                position: *at,
            },
            Way::Tick { at } => Identity::Position {
                stream: "tick".to_owned(),
                position: *at,
            },
        }
    }
}

/// The name of a log's stream.
pub(crate) fn stream(topic: u64, mutant: Option<Mutant>) -> String {
    if mutant == Some(Mutant::NoTopicId) {
        "orders/0".to_owned()
    } else {
        format!("orders/{topic}/0")
    }
}

/// The data of an occurrence's event.
pub(crate) fn data(number: usize) -> Bytes {
    let size = SIZES[number % SIZES.len()];
    let bytes = number.to_be_bytes();
    bytes.into_iter().cycle().take(size).collect()
}

pub(crate) fn function_name(name: &str) -> FunctionName {
    FunctionName::new(name).expect("a name of the script is a good name")
}

pub(crate) fn trigger_name(name: &str) -> TriggerName {
    TriggerName::new(name).expect("a name of the script is a good name")
}

impl History {
    /// Something happens; answers its number.
    pub(crate) fn add(&mut self, way: Way, function: &'static str, kind: Kind) -> usize {
        self.occurrences.push(Occurrence {
            way,
            function,
            kind,
            offered: 0,
            refused: 0,
            ids: Vec::new(),
            past: false,
            settled: false,
        });
        self.occurrences.len() - 1
    }

    /// The occurrence is offered now.
    pub(crate) fn offer(&mut self, number: usize, mutant: Option<Mutant>) -> Offer {
        let occurrence = &mut self.occurrences[number];
        occurrence.offered += 1;
        Offer {
            function: function_name(occurrence.function),
            trigger: occurrence.trigger().map(trigger_name),
            event: Event {
                id: number.to_string(),
                source: "/outside".to_owned(),
                kind: occurrence.kind.as_str().to_owned(),
                subject: None,
                time: Timestamp::from_millis(0),
                content_type: None,
                data: Some(data(number)),
                extensions: BTreeMap::new(),
            },
            identity: occurrence.identity(number, mutant),
            cursors: Vec::new(),
        }
    }

    /// Somebody hears what became of an offer.
    pub(crate) fn hear(&mut self, number: usize, answer: &Result<Receipt, Rejected>) {
        let occurrence = &mut self.occurrences[number];
        match answer {
            Ok(Receipt::New(id) | Receipt::Known(id)) => {
                occurrence.ids.push(*id);
                occurrence.settled = true;
            }
            Ok(Receipt::Past) => {
                occurrence.past = true;
                occurrence.settled = true;
            }
            Err(Rejected::Unknown) => {}
            Err(no) => {
                occurrence.refused += 1;
                occurrence.settled |= !no.is_passing();
            }
        }
    }

    /// What had been seen of an id when somebody asks for it.
    pub(crate) fn asked(&self, id: RequestId) -> Option<Seen> {
        self.seen.get(&id).copied()
    }

    /// Somebody sees a state, for which they asked when `asked` had been seen. Answers may cross: what others have seen
    /// meanwhile may be newer.
    pub(crate) fn see(&mut self, id: RequestId, asked: Option<Seen>, invocation: &Invocation) {
        let ended_at = invocation.ending.as_ref().map(|ending| ending.at);
        let now = (invocation.state, ended_at);
        if let Some(before) = asked
            && !may_follow(before, now)
        {
            let what = format!("{id} was seen as {before:?}, and then as {now:?}");
            self.wrong.push(against(SEEN, &what));
        }
        let meanwhile = self.seen.entry(id).or_insert(now);
        if may_follow(*meanwhile, now) {
            *meanwhile = now;
        } else if !may_follow(now, *meanwhile) {
            let what = format!("{id} was seen as {meanwhile:?} and as {now:?}");
            self.wrong.push(against(SEEN, &what));
        }
    }

    /// All ids that somebody has heard, in order.
    pub(crate) fn heard(&self) -> Vec<RequestId> {
        let ids = self.occurrences.iter().flat_map(|one| one.ids.first());
        ids.copied().collect()
    }
}

/// Whether a later look may show `now` after `before`.
pub(crate) fn may_follow(before: Seen, now: Seen) -> bool {
    match (before.0, now.0) {
        (InvocationState::Ended(_), _) => before == now,
        (InvocationState::Running, InvocationState::Accepted) => false,
        (InvocationState::Running | InvocationState::Accepted, _) => true,
    }
}
