//! The consumer's side of the bookkeeping: which partitions are ours, what is on its way to the hub, what is safe.
//!
//! Lives on the consumer's thread. Everything that librdkafka is asked here is bounded in time, because the group
//! waits for a member that does not poll.

mod bounds;
mod commits;
mod lag;
mod rebalance;
mod unread;
mod unreadable;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tripline_model::Identity;
use tripline_trigger::TriggerContext;

use crate::batch::{Carried, Lease, MAX_BYTES, MAX_RECORDS, Settled};
use crate::config::{Config, NullValue};
use crate::context::Callbacks;
use crate::event::{Record, to_event};
use crate::health::Health;
use crate::pacing::Pacing;
use crate::positions::Note;
#[cfg(test)]
use crate::positions::Plan;

pub(crate) type Client = BaseConsumer<Callbacks>;

/// Topic and partition.
pub(crate) type PartitionId = (String, i32);

/// What a session is given.
pub(crate) struct Setup {
    pub(crate) cx: TriggerContext,
    /// What consumers are made with.
    pub(crate) client: ClientConfig,
    pub(crate) config: Arc<Config>,
    pub(crate) health: Arc<Health>,
    pub(crate) pacing: Pacing,
    pub(crate) runtime: Handle,
    /// Records to the hub; a full queue is what pauses partitions.
    pub(crate) out: mpsc::Sender<Vec<Carried>>,
    /// How far they are safe.
    pub(crate) back: mpsc::Receiver<Settled>,
}

/// Why a consumer is given up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The trigger is to stop.
    Stopped,
    /// A new consumer can go on at once.
    Rebuild(String),
    /// No consumer can go on.
    Failed(String),
}

/// One consumer's state.
pub(crate) struct Session {
    setup: Setup,
    cluster: String,
    topic_ids: HashMap<String, String>,
    /// How many partitions each topic had before this consumer joined the group.
    counts: HashMap<String, i32>,
    partitions: BTreeMap<PartitionId, Assigned>,
    unread: unread::Unread,
    unreadable: unreadable::Unreadable,
    /// Whether the group has given out its partitions, be it none to us.
    is_assigned: bool,
    /// Polled, not handed over yet.
    pending: Vec<Carried>,
    pending_bytes: usize,
    /// Handed over, not finished.
    outstanding: usize,
    /// Since when the queue to the hub has been full.
    full_since: Option<Instant>,
    is_paused: bool,
    lag: lag::Lag,
    /// Topics whose state is unknown or bad are asked for again.
    topics_in_doubt: bool,
    topics_asked_at: Option<Instant>,
    /// The consumer is being closed.
    is_closing: bool,
    ending: Option<Ending>,
}

/// A partition that is ours and is read.
struct Assigned {
    lease: Arc<Lease>,
    stream: String,
    note: Note,
    /// Offsets below it were polled.
    polled: u64,
    /// Offsets below it are safe.
    next: u64,
    /// The offset that was stored last, to be committed.
    stored: Option<u64>,
}

// === impl Session ===

impl Session {
    pub(crate) fn new(setup: Setup) -> Self {
        let now = Instant::now();
        let session = Self {
            setup,
            cluster: String::new(),
            topic_ids: HashMap::new(),
            counts: HashMap::new(),
            partitions: BTreeMap::new(),
            unread: unread::Unread::default(),
            unreadable: unreadable::Unreadable::default(),
            is_assigned: false,
            pending: Vec::new(),
            pending_bytes: 0,
            outstanding: 0,
            full_since: None,
            is_paused: false,
            lag: lag::Lag::new(now),
            topics_in_doubt: true,
            topics_asked_at: None,
            is_closing: false,
            ending: None,
        };
        // A consumer before this one may have met what is no longer there.
        session.setup.health.update(|state| state.unreadable = None);
        session.tell_pause();
        session.tell_partitions();
        session
    }

    /// The cluster's id, once it is known.
    pub(crate) fn connected(&mut self, cluster: String) {
        self.cluster = cluster;
    }

    pub(crate) fn redacted(&self, text: &str) -> String {
        self.setup.health.redacted(text)
    }

    /// Why this consumer is to be given up, if it is.
    pub(crate) fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// As after an assignment of `place`, and a pause.
    #[cfg(test)]
    pub(crate) fn pretend(&mut self, place: PartitionId, is_paused: bool) {
        let note = Note {
            topic_id: None,
            incarnation: 0,
            start: 0,
        };
        let plan = Plan {
            note,
            start: 0,
            findings: Vec::new(),
        };
        self.begin(place, plan);
        self.is_assigned = true;
        self.is_paused = is_paused;
    }

    /// Remembers a topic's id; another one than a partition was planned with means that the topic was made anew.
    pub(crate) fn learn_topic_id(&mut self, topic: &str, id: String) {
        let planned = self
            .partitions
            .iter()
            .filter(|((name, _), _)| name == topic);
        let mut known = planned.map(|(_, assigned)| assigned.note.topic_id.as_ref());
        if known.any(|planned| planned != Some(&id)) {
            self.give_up(format!("topic `{topic}` has another id than before"));
        }
        self.topic_ids.insert(topic.to_owned(), id);
    }

    /// Remembers how many partitions a topic has: 0 if it is not there.
    pub(crate) fn learn_partitions(&mut self, topic: &str, count: i32) {
        self.counts.insert(topic.to_owned(), count);
    }

    /// A record came.
    pub(crate) fn take(&mut self, message: &BorrowedMessage<'_>) {
        let place = (message.topic().to_owned(), message.partition());
        let (Some(assigned), Ok(offset)) = (
            self.partitions.get_mut(&place),
            u64::try_from(message.offset()),
        ) else {
            return;
        };
        assigned.polled = offset + 1;
        let record = Record::of(message);
        let skipped = record.value.is_none() && self.setup.config.null_value == NullValue::Skip;
        let offer = (!skipped).then(|| {
            let event = to_event(&record, &self.cluster, self.setup.cx.clock().now());
            self.pending_bytes += event.weight();
            let stream = assigned.stream.clone();
            self.setup.cx.offer(
                event,
                Identity::Position {
                    stream,
                    position: offset,
                },
            )
        });
        let lease = Arc::clone(&assigned.lease);
        self.pending.push(Carried {
            lease,
            offset,
            offer,
            unreadable: 0,
        });
    }

    /// `poll` gave an error.
    pub(crate) fn failed(&mut self, error: &KafkaError) {
        match error {
            KafkaError::MessageConsumptionFatal(code) => {
                let why = format!("the client cannot go on: {code}");
                self.ending.get_or_insert(Ending::Failed(why));
            }
            KafkaError::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                self.give_up("the brokers do not have the next record any more".to_owned());
            }
            // Its words have come to `complained`.
            _ => {}
        }
    }

    /// What is due: receipts, hand-over, pauses, commits, measurements.
    pub(crate) fn tick(&mut self, consumer: &Client, is_drained: bool) {
        while let Ok(settled) = self.setup.back.try_recv() {
            self.settled(settled);
        }
        self.hand_over(is_drained);
        self.pause_or_resume(consumer);
        self.store(consumer);
        self.ask_for_topics(consumer);
        self.plan_unread(consumer);
        self.skip_unreadable(consumer);
        self.watch_progress(consumer);
    }

    /// Whether no more records should be polled for now.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= MAX_RECORDS || self.pending_bytes >= MAX_BYTES
    }

    /// Whether polling can be left for the moment: the queue is full, and has not been for long.
    pub(crate) fn rests(&self) -> bool {
        self.is_full() && !self.is_paused
    }

    /// Whether records wait because the way to the hub is full.
    pub(crate) fn is_held_up(&self) -> bool {
        self.full_since.is_some() && self.has_pending()
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Waits for news from the hub, but not long.
    pub(crate) fn wait_for_hub(&mut self, within: Duration) -> bool {
        let runtime = self.setup.runtime.clone();
        let news = runtime.block_on(async { timeout(within, self.setup.back.recv()).await });
        match news {
            Ok(Some(settled)) => self.settled(settled),
            // The hub's side is gone: nothing will come any more.
            Ok(None) => self.outstanding = 0,
            Err(_) => return false,
        }
        true
    }

    /// Whether nobody waits for more answers of the brokers: each may take seconds.
    fn is_stopping(&self) -> bool {
        self.is_closing || self.setup.cx.shutdown().is_cancelled()
    }

    fn give_up(&mut self, why: String) {
        self.ending.get_or_insert(Ending::Rebuild(why));
    }

    fn settled(&mut self, settled: Settled) {
        for (lease, next) in settled.reached {
            let place = (lease.topic.to_string(), lease.partition);
            if let Some(assigned) = self.partitions.get_mut(&place) {
                // A partition that came back has another lease, and a position of its own.
                if Arc::ptr_eq(&assigned.lease, &lease) {
                    assigned.next = assigned.next.max(next);
                }
            }
        }
        if settled.finished {
            self.outstanding = self.outstanding.saturating_sub(1);
        }
    }

    /// Forgets what was polled of partitions that are taken away.
    fn drop_pending(&mut self, places: &[PartitionId]) {
        self.pending.retain(|record| {
            let lease = &record.lease;
            !places
                .iter()
                .any(|(topic, partition)| *lease.topic == **topic && lease.partition == *partition)
        });
        let offers = self.pending.iter().flat_map(|record| &record.offer);
        self.pending_bytes = offers.map(|offer| offer.event.weight()).sum();
        if self.pending.is_empty() {
            self.full_since = None;
        }
    }

    fn hand_over(&mut self, is_drained: bool) {
        if self.pending.is_empty() || !(is_drained || self.is_full()) {
            return;
        }
        match self.setup.out.try_send(std::mem::take(&mut self.pending)) {
            Ok(()) => {
                self.outstanding += 1;
                self.pending_bytes = 0;
                self.full_since = None;
            }
            Err(mpsc::error::TrySendError::Full(records)) => {
                self.pending = records;
                self.full_since.get_or_insert_with(Instant::now);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.ending.get_or_insert(Ending::Stopped);
            }
        }
    }

    /// A pause throws away what was fetched, so a short wait goes without one. A resume waits until nearly all is done.
    fn pause_or_resume(&mut self, consumer: &Client) {
        let patience = self.setup.pacing.pause_after;
        let waited = self
            .full_since
            .is_some_and(|since| since.elapsed() >= patience);
        if !self.is_paused && waited && self.is_full() {
            self.is_paused = true;
            self.tell_pause();
            self.apply_pause(consumer);
        } else if self.is_paused && self.pending.is_empty() && self.outstanding <= 1 {
            self.is_paused = false;
            self.tell_pause();
            let ours = self.ours();
            if let Err(error) = consumer.resume(&ours) {
                self.give_up(format!("partitions cannot be resumed: {error}"));
            }
        }
    }

    fn tell_pause(&self) {
        self.setup.cx.fact("paused", self.is_paused);
    }

    fn apply_pause(&mut self, consumer: &Client) {
        let ours = self.ours();
        if let Err(error) = consumer.pause(&ours) {
            self.give_up(format!("partitions cannot be paused: {error}"));
        }
    }

    /// All partitions that we read, with what they reached.
    fn ours(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), assigned) in &self.partitions {
            add(&mut list, topic, *partition, assigned.next);
        }
        list
    }
}

/// Adds a position to a list.
fn add(list: &mut TopicPartitionList, topic: &str, partition: i32, next: u64) {
    let offset = i64::try_from(next).unwrap_or(i64::MAX);
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .expect("the partition was just added and the offset is not negative");
}
