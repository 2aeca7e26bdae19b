//! Where reading a partition begins, and which life of the partition that is. Pure: facts in, plan out.
//!
//! A topic that is deleted and made anew counts its offsets from 0 again. Each such life is an *incarnation* with a
//! stream, and so a watermark, of its own: old watermarks never swallow new records.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Reset;

/// What the hub keeps of a partition, beside the watermark of its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Kafka's id of the topic in this incarnation; `None` if the brokers do not report it (before Kafka 2.8).
    pub(crate) topic_id: Option<String>,
    /// Counts up whenever offsets begin anew.
    pub(crate) incarnation: u32,
    /// Reading goes on at this offset or behind it: where this incarnation began, or what the group was moved ahead to.
    pub(crate) start: u64,
}

/// What the hub keeps of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicNote {
    /// Kafka's id of the topic; `None` if the brokers do not report it.
    pub(crate) topic_id: Option<String>,
    /// How many partitions it had when the hub began to read it.
    pub(crate) partitions: i32,
}

/// What is known of a partition when it is assigned.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// What was kept of it; `None` if it was never assigned to this trigger before.
    pub(crate) note: Option<Note>,
    /// The highest offset of the noted incarnation that was accepted.
    pub(crate) watermark: Option<u64>,
    /// The group's committed offset: the next one to read.
    pub(crate) committed: Option<u64>,
    /// The first offset that the brokers still have.
    pub(crate) low: u64,
    /// The offset that the next record gets.
    pub(crate) high: u64,
    /// Kafka's id of the topic now.
    pub(crate) topic_id: Option<String>,
    /// Whether it was added after the hub had begun to read the topic.
    pub(crate) is_added: bool,
}

/// What is worth telling about a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The topic was deleted and made anew.
    Recreated,
    /// The brokers lost records that had been read: offsets from `from` up to (without) `to` begin anew.
    Truncated {
        /// The first offset that is lost.
        from: u64,
        /// The offset that would have been read next.
        to: u64,
    },
    /// The brokers removed records before they were read: from `from` up to (without) `to`.
    Gap {
        /// The first offset that was not read.
        from: u64,
        /// The first offset that is still there.
        to: u64,
    },
    /// The group's committed offset lies beyond the end and is not used.
    CommitBeyondEnd(u64),
    /// The hub has no position of its own, and goes on at the group's.
    GroupPosition(u64),
}

/// Where and as what reading begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What is kept of the partition from now on.
    pub(crate) note: Note,
    /// The offset to read first.
    pub(crate) start: u64,
    /// In the order in which they happened.
    pub(crate) findings: Vec<Finding>,
}

/// The longest topic that is spelled out in a stream's name, which holds 255 bytes.
const MAX_SPELLED: usize = 128;

/// Where reading begins. The hub's own position wins over the group's, unless the group is ahead.
pub(crate) fn plan(facts: Facts, reset: Reset) -> Plan {
    let mut findings = Vec::new();
    let usable = facts.committed.filter(|committed| *committed <= facts.high);
    if let (Some(committed), None) = (facts.committed, usable) {
        findings.push(Finding::CommitBeyondEnd(committed));
    }
    let (mut note, wanted) = match facts.note {
        None => {
            findings.extend(usable.map(Finding::GroupPosition));
            // The group has read here in a life of the topic that is over, or the hub since before it was there.
            let is_all_new = facts.committed.is_some() || facts.is_added;
            let start = first_sight(usable, is_all_new, (facts.low, facts.high), reset);
            (fresh(0, facts.topic_id, start), start)
        }
        Some(note) => {
            let read = facts.watermark.map_or(0, |mark| mark.saturating_add(1));
            let next = read.max(note.start);
            match lived_on(&note, facts.topic_id.as_ref(), next <= facts.high) {
                Life::Same => {
                    let topic_id = facts.topic_id.or(note.topic_id);
                    let ahead = usable.filter(|committed| *committed > next);
                    // The group may lose its offset before the watermark is there.
                    let start = ahead.unwrap_or(note.start);
                    let note = Note {
                        topic_id,
                        start,
                        ..note
                    };
                    (note, ahead.unwrap_or(next))
                }
                Life::Recreated => {
                    findings.push(Finding::Recreated);
                    // A commit up to `next` may be our own, from before the end of the old incarnation.
                    let start = usable
                        .filter(|committed| *committed > next)
                        .unwrap_or(facts.low);
                    (fresh(note.incarnation + 1, facts.topic_id, start), start)
                }
                Life::Truncated => {
                    findings.push(Finding::Truncated {
                        from: facts.high,
                        to: next,
                    });
                    (
                        fresh(note.incarnation + 1, facts.topic_id, facts.high),
                        facts.high,
                    )
                }
            }
        }
    };
    if wanted < facts.low {
        findings.push(Finding::Gap {
            from: wanted,
            to: facts.low,
        });
    }
    let start = wanted.max(facts.low);
    // An incarnation that begins here begins behind the gap.
    note.start = if note.start == wanted {
        start
    } else {
        note.start
    };
    Plan {
        note,
        start,
        findings,
    }
}

/// The name of a partition's stream, at most 255 bytes.
pub(crate) fn stream(cluster: &str, topic: &str, partition: i32, incarnation: u32) -> String {
    let topic = if topic.len() > MAX_SPELLED {
        digest(topic)
    } else {
        topic.to_owned()
    };
    let cluster = if cluster.len() > 64 {
        digest(cluster)
    } else {
        cluster.to_owned()
    };
    format!("{cluster}/{topic}/{partition}/{incarnation}")
}

/// The cursor key under which a partition's [`Note`] is kept.
pub(crate) fn note_key(cluster: &str, topic: &str, partition: i32) -> String {
    format!("partition/{cluster}/{topic}/{partition}")
}

/// The cursor key under which a topic's [`TopicNote`] is kept.
pub(crate) fn topic_key(cluster: &str, topic: &str) -> String {
    format!("topic/{cluster}/{topic}")
}

/// A topic's name and id, if `line` is librdkafka's remark that it has learnt the id. It is the only way in which the
/// safe interface gives topic ids; a test against its own mock brokers fails if the wording ever changes.
pub(crate) fn topic_id_in_log(line: &str) -> Option<(&str, String)> {
    let (_, rest) = line.split_once("Topic ")?;
    let (topic, rest) = rest.split_once(" changed id from ")?;
    let (_, id) = rest.split_once(" to ")?;
    let none = id.bytes().all(|c| c == b'A');
    // Kafka's own tools write ids in the URL-safe alphabet.
    (!none && !topic.contains(' ')).then(|| (topic, id.trim().replace('+', "-").replace('/', "_")))
}

// === impl TopicNote ===

impl TopicNote {
    /// Whether this is about the topic with that id, as far as is known.
    pub(crate) fn is_of(&self, topic_id: Option<&String>) -> bool {
        match (&self.topic_id, topic_id) {
            (Some(noted), Some(now)) => noted == now,
            _ => true,
        }
    }

    /// Whether a partition of the topic with that id was added after the hub had begun to read.
    pub(crate) fn lacks(&self, partition: i32, topic_id: Option<&String>) -> bool {
        !self.is_of(topic_id) || partition >= self.partitions
    }
}

// === impl Finding ===

impl Finding {
    /// Whether records may be missed, or be read that were read before.
    pub(crate) fn is_grave(&self) -> bool {
        !matches!(self, Self::GroupPosition(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recreated => write!(f, "the topic was made anew and is read from its beginning"),
            Self::Truncated { from, to } => write!(
                f,
                "the brokers lost offsets {from} to {}, which had been read",
                to.saturating_sub(1)
            ),
            Self::Gap { from, to } => write!(
                f,
                "the brokers removed offsets {from} to {} before they were read",
                to.saturating_sub(1)
            ),
            Self::CommitBeyondEnd(offset) => write!(
                f,
                "the group's offset {offset} lies beyond the end and is not used"
            ),
            Self::GroupPosition(offset) => write!(f, "goes on at the group's offset {offset}"),
        }
    }
}

enum Life {
    Same,
    Recreated,
    Truncated,
}

fn lived_on(note: &Note, topic_id: Option<&String>, reachable: bool) -> Life {
    #[cfg(test)]
    if reachable && tripline_skipped::is_mutant("no-topic-id") {
        return Life::Same;
    }
    match (&note.topic_id, topic_id) {
        (Some(before), Some(now)) if before != now => Life::Recreated,
        _ if reachable => Life::Same,
        (Some(_), Some(_)) => Life::Truncated,
        // Without ids a shorter log is the only sign.
        _ => Life::Recreated,
    }
}

fn first_sight(
    usable: Option<u64>,
    is_all_new: bool,
    (low, high): (u64, u64),
    reset: Reset,
) -> u64 {
    match (usable, reset) {
        (Some(committed), _) => committed,
        (None, _) if is_all_new => low,
        (None, Reset::Earliest) => low,
        (None, Reset::Latest) => high,
    }
}

fn fresh(incarnation: u32, topic_id: Option<String>, start: u64) -> Note {
    Note {
        topic_id,
        incarnation,
        start,
    }
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
