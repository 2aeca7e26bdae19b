//! Partitions that are ours and not read yet, because it is not known where reading begins.
//!
//! The group has them given to us, so they are assigned; but paused, and planned again until a plan succeeds.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::{Client, PartitionId, Session, add};

/// How long librdkafka may take to move a partition, which asks no broker.
const SEEK_WITHIN: Duration = Duration::from_secs(1);

/// Records of other partitions wait while brokers are asked: that long for each moment that it took.
const REST: u32 = 4;

/// Each with the reason.
#[derive(Default)]
pub(super) struct Unread {
    pub(super) places: BTreeMap<PartitionId, String>,
    /// When they are planned again.
    again_at: Option<Instant>,
}

// === impl Session ===

impl Session {
    /// Takes over what a plan that began then left open.
    pub(super) fn leave_unread(&mut self, begun: Instant, places: BTreeMap<PartitionId, String>) {
        for ((topic, partition), why) in &places {
            let trigger = self.setup.cx.name();
            tracing::debug!(%trigger, topic, partition, why, "a partition is not read yet");
        }
        let wait = self.setup.pacing.plan_again_after;
        let wait = wait.max(begun.elapsed() * REST);
        self.unread.again_at = Some(Instant::now() + wait);
        self.unread.places.extend(places);
    }

    /// Plans once more what could not be planned.
    pub(super) fn plan_unread(&mut self, consumer: &Client) {
        let begun = Instant::now();
        let is_due = self.unread.again_at.is_some_and(|at| begun >= at);
        if self.unread.places.is_empty() || !is_due || self.is_stopping() {
            return;
        }
        let places: Vec<PartitionId> = self.unread.places.keys().cloned().collect();
        let (plans, mut left) = self.plan_all(consumer, &places);
        for (place, plan) in plans {
            match self.go_to(consumer, &place, plan.start) {
                Ok(()) => self.begin(place, plan),
                Err(why) => drop(left.insert(place, why)),
            }
        }
        self.leave_unread(begun, left);
        self.tell_partitions();
    }

    /// Adds those that cannot be read to what is assigned: paused before that, so that nothing is fetched of them.
    pub(super) fn hold(
        &mut self,
        consumer: &Client,
        places: &BTreeMap<PartitionId, String>,
        starts: &mut TopicPartitionList,
    ) {
        let mut held = TopicPartitionList::new();
        for (topic, partition) in places.keys() {
            // Any offset will do: nobody reads there.
            add(&mut held, topic, *partition, 0);
            add(starts, topic, *partition, 0);
        }
        if let Err(error) = consumer.pause(&held) {
            self.give_up(format!("partitions cannot be held: {error}"));
        }
    }

    /// The reason of the first, in words.
    pub(super) fn why_unread(&self) -> Option<String> {
        let mut places = self.unread.places.iter();
        let ((topic, partition), why) = places.next()?;
        let first = format!("topic `{topic}` partition {partition} is not read: {why}");
        Some(match places.len() {
            0 => first,
            more => format!("{first} (nor are {more} more)"),
        })
    }

    /// Reading a partition that was held begins.
    pub(super) fn go_to(
        &self,
        consumer: &Client,
        (topic, partition): &PartitionId,
        at: u64,
    ) -> Result<(), String> {
        let offset = Offset::Offset(i64::try_from(at).unwrap_or(i64::MAX));
        let moved = consumer.seek(topic, *partition, offset, SEEK_WITHIN);
        moved.map_err(|error| format!("it cannot be moved to offset {at}: {error}"))?;
        if self.is_paused {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        add(&mut list, topic, *partition, at);
        let resumed = consumer.resume(&list);
        resumed.map_err(|error| format!("it cannot be resumed: {error}"))
    }
}
