//! Batches that nobody can read: too large when unpacked (`receive.message.max.bytes`), or spoilt.
//!
//! librdkafka never gets past one by itself. It is looked for, and skipped to the offset behind it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Client, PartitionId, Session};
use crate::batch::Carried;
use crate::reader::{Reader, There, batch_in, behind};

/// How long one search may take; the group waits for it.
const FIND_WITHIN: Duration = Duration::from_secs(20);

/// Between two searches; longer by as much as records of other partitions had to wait.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const REST: u32 = 4;

/// What librdkafka could not read.
#[derive(Default)]
pub(super) struct Unreadable {
    /// Its words since the last search.
    words: Option<String>,
    again_at: Option<Instant>,
}

/// Offsets of a batch that cannot be read.
struct Found {
    place: PartitionId,
    first: u64,
    /// The next that can be read, or will be written.
    behind: u64,
    /// librdkafka's words.
    why: String,
}

// === impl Session ===

impl Session {
    /// librdkafka cannot read a batch. It does not report of which partition.
    pub(super) fn cannot_read(&mut self, words: String) {
        self.unreadable.words = Some(words);
    }

    /// Looks for what librdkafka could not read, and goes on behind it.
    pub(super) fn skip_unreadable(&mut self, consumer: &Client) {
        let begun = Instant::now();
        let is_due = self.unreadable.again_at.is_none_or(|at| begun >= at);
        if self.unreadable.words.is_none() || !is_due || self.is_stopping() {
            return;
        }
        let words = self.unreadable.words.take().unwrap_or_default();
        let skipped = match self.find(&words, begun + FIND_WITHIN) {
            // It was in a partition that is no longer ours.
            Ok(None) => Ok(()),
            Ok(Some(found)) => self.skip(consumer, &found),
            Err(_) if self.is_stopping() => return,
            Err(why) => Err(why),
        };
        let trouble = skipped.err();
        if trouble.is_some() {
            // Looked for again, also without a further report.
            self.unreadable.words = Some(words);
        }
        self.setup.health.update(|state| state.unreadable = trouble);
        let wait = AGAIN_AFTER.max(begun.elapsed() * REST);
        self.unreadable.again_at = Some(Instant::now() + wait);
    }

    /// Where it is; `None` if all partitions can be read.
    fn find(&self, words: &str, until: Instant) -> Result<Option<Found>, String> {
        let stops = || self.is_stopping() || Instant::now() >= until;
        let reader = Reader::new(&self.setup.client).map_err(|why| {
            format!("a record batch cannot be read, nor looked for ({why}): {words}")
        })?;
        // Everything before it has been polled, so it most likely begins where a partition is read next.
        let begins = batch_in(words);
        let mut places: Vec<(u64, &PartitionId, u64)> = self
            .partitions
            .iter()
            .map(|(place, assigned)| {
                let distance = begins.map_or(0, |begins| begins.abs_diff(assigned.polled));
                (distance, place, assigned.polled)
            })
            .collect();
        places.sort_unstable();
        let mut silent = None;
        for (_, place, polled) in places {
            let (topic, partition) = (place.0.as_str(), place.1);
            let at = |offset| reader.look((topic, partition), offset, stops);
            let batch = match at(polled) {
                Ok(There::Unreadable(batch)) => batch,
                Ok(There::Record | There::End) => continue,
                Err(why) => {
                    silent.get_or_insert_with(|| {
                        format!(
                            "a record batch cannot be read, maybe of topic `{topic}` partition {partition} ({why}): {words}"
                        )
                    });
                    continue;
                }
            };
            let why = reader.words();
            let first = batch.max(polled);
            let end = reader.end((topic, partition));
            let behind = end
                .and_then(|end| behind(batch, first, end, at))
                .map_err(|how| {
                    format!(
                        "topic `{topic}` partition {partition}: the batch at offset {batch} cannot be read ({why}), \
                         and where it ends is not found: {how}"
                    )
                })?;
            return Ok(Some(Found {
                place: place.clone(),
                first,
                behind,
                why,
            }));
        }
        silent.map_or(Ok(None), Err)
    }

    fn skip(&mut self, consumer: &Client, found: &Found) -> Result<(), String> {
        let Found {
            place,
            first,
            behind,
            why,
        } = found;
        self.go_to(consumer, place, *behind).map_err(|how| {
            let (topic, partition) = place;
            format!(
                "topic `{topic}` partition {partition}: the batch at offset {first} cannot be read ({why}), \
                 nor be skipped: {how}"
            )
        })?;
        let Some(assigned) = self.partitions.get_mut(place) else {
            return Ok(());
        };
        assigned.polled = *behind;
        let lease = assigned.lease.clone();
        let (last, count) = (behind - 1, behind - first);
        // In its turn, so that the position follows when all before it is settled.
        self.pending.push(Carried {
            lease,
            offset: last,
            offer: None,
            unreadable: count,
        });
        let (trigger, (topic, partition)) = (self.setup.cx.name(), place);
        tracing::warn!(
            %trigger, topic, partition, offset = first, last, count, why,
            "offsets were skipped: the batch that holds them cannot be read"
        );
        let fact = format!(
            "{topic}/{partition}: offsets {first} to {last} were skipped, their batch cannot be read: {why}"
        );
        self.setup.cx.fact("last_finding", fact);
        Ok(())
    }
}
