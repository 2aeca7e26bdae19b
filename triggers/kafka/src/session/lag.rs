//! How far behind the trigger is, whether it moves, and whether the brokers are well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::Instant;

use super::{Client, PartitionId, Session};
use crate::reader::is_unreadable;

/// One answer from a broker, at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Partitions asked for their end in one round, at most.
const ASKED_AT_ONCE: usize = 64;

/// What was measured.
pub(super) struct Lag {
    seen: BTreeMap<PartitionId, Seen>,
    /// Positions at the last progress.
    positions: u64,
    progress_at: Instant,
    asked_at: Instant,
    /// The partition asked for its end last.
    asked_last: Option<PartitionId>,
    /// The last error of a broker's connection.
    last_words: Option<String>,
}

#[derive(Default, Clone, Copy)]
struct Seen {
    /// The offset that librdkafka fetches next.
    fetches: u64,
    /// Whether fetched records wait to be polled.
    waits: bool,
    /// The offset behind the last record that can be read.
    end: u64,
}

impl Lag {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            seen: BTreeMap::new(),
            positions: 0,
            progress_at: now,
            asked_at: now,
            asked_last: None,
            last_words: None,
        }
    }
}

// === impl Session ===

impl Session {
    /// librdkafka's statistics came.
    pub(crate) fn measured(&mut self, statistics: &Statistics) {
        if self.is_closing {
            return;
        }
        for (name, topic) in &statistics.topics {
            for (number, partition) in &topic.partitions {
                let place = (name.clone(), *number);
                if !self.partitions.contains_key(&place) {
                    continue;
                }
                let known = |offset: i64| u64::try_from(offset).unwrap_or(0);
                let stable = known(partition.ls_offset);
                let high = known(partition.hi_offset);
                let seen = self.lag.seen.entry(place).or_default();
                seen.fetches = known(partition.next_offset);
                seen.waits = partition.fetchq_cnt > 0;
                seen.end = seen
                    .end
                    .max(if stable > 0 { stable.min(high) } else { high });
            }
        }
        let is_well = self.is_well(statistics);
        if is_well {
            self.setup.health.update(|state| state.brokers = None);
        }
        if is_well && self.is_assigned && self.unread.places.is_empty() {
            let lag = self.lag();
            self.show_lag(lag as f64);
            self.setup.cx.fact("lag", lag);
        } else {
            // What waits at a broker that does not answer, or behind a position that is not known, is known to nobody.
            self.end_lag();
        }
    }

    /// Whether the group's coordinator and the brokers that we fetch from are connected. To those that lead only what
    /// is paused, or belongs to other members, there need not be a connection.
    fn is_well(&self, statistics: &Statistics) -> bool {
        let group = statistics.cgrp.as_ref();
        let brokers = statistics.brokers.values();
        let up: BTreeSet<i32> = brokers
            .filter(|broker| matches!(broker.state.as_str(), "UP" | "UPDATE"))
            .map(|broker| broker.nodeid)
            // Those that are known by an address only have none.
            .filter(|id| *id >= 0)
            .collect();
        let mut ours = self.partitions.keys().filter_map(|(topic, number)| {
            let topic = statistics.topics.get(topic)?;
            topic.partitions.get(number)
        });
        group.is_some_and(|group| group.state == "up")
            && !up.is_empty()
            && (self.is_paused || ours.all(|partition| up.contains(&partition.broker)))
    }

    /// Nobody can measure for now: the last number would stand, and look well.
    pub(super) fn end_lag(&self) {
        self.show_lag(f64::NAN);
        self.setup.cx.no_fact("lag");
    }

    fn show_lag(&self, lag: f64) {
        let name = self.setup.cx.name().as_str().to_owned();
        metrics::gauge!("tripline_kafka_lag", "trigger" => name).set(lag);
    }

    /// librdkafka complained. Most of it passes: it keeps trying by itself.
    pub(crate) fn complained(&mut self, error: &KafkaError, words: &str) {
        let words = self.redacted(words);
        tracing::debug!(trigger = %self.setup.cx.name(), %error, words, "librdkafka complained");
        let code = error.rdkafka_error_code();
        match code {
            Some(Code::BrokerTransportFailure | Code::OperationTimedOut) => {
                self.lag.last_words = Some(words);
            }
            Some(Code::AllBrokersDown) => {
                let words = self.lag.last_words.clone().unwrap_or(words);
                self.setup.health.update(|state| {
                    // A refused login is reported by itself, with more detail.
                    state.brokers.get_or_insert(words);
                });
            }
            Some(
                Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::TopicAuthorizationFailed,
            ) => self.topics_in_doubt = true,
            Some(
                Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::SSL
                | Code::Resolve
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::UnsupportedSASLMechanism,
            ) => self
                .setup
                .health
                .update(|state| state.brokers = Some(words)),
            Some(code) if is_unreadable(code) => self.cannot_read(words),
            _ => {}
        }
    }

    /// Asks for topics that may be missing, until all can be read.
    pub(super) fn ask_for_topics(&mut self, consumer: &Client) {
        let every = self.setup.pacing.ask_for_topics_every;
        let due = self.topics_asked_at.is_none_or(|at| at.elapsed() >= every);
        if !self.topics_in_doubt || !due || !self.setup.health.brokers_answer() {
            return;
        }
        let mut all_well = true;
        for topic in self.setup.config.topics.clone() {
            if self.is_stopping() {
                return;
            }
            let trouble = match consumer.fetch_metadata(Some(&topic), ANSWER_WITHIN) {
                Ok(metadata) => {
                    let found = metadata.topics().iter().find(|found| found.name() == topic);
                    let error = found.map(|found| found.error());
                    match error {
                        Some(None) => None,
                        Some(Some(error)) => Some(Code::from(error).to_string()),
                        None => Some("the brokers do not know it".to_owned()),
                    }
                }
                Err(error) => Some(error.to_string()),
            };
            all_well &= trouble.is_none();
            self.setup.health.update(|state| match trouble {
                Some(why) => drop(state.topics.insert(topic, why)),
                None => drop(state.topics.remove(&topic)),
            });
        }
        self.topics_in_doubt = !all_well;
        self.topics_asked_at = Some(Instant::now());
    }

    /// Records that wait while nothing moves mean a consumer that is stuck.
    pub(super) fn watch_progress(&mut self, consumer: &Client) {
        let bound = self.setup.config.stall_after;
        let fetched: u64 = self.lag.seen.values().map(|seen| seen.fetches).sum();
        let safe: u64 = self.partitions.values().map(|assigned| assigned.next).sum();
        let positions = fetched.wrapping_add(safe);
        let is_busy = self.outstanding > 0 || !self.pending.is_empty() || self.is_paused;
        let moved = positions != self.lag.positions;
        if moved || is_busy || self.partitions.is_empty() || !self.setup.health.brokers_answer() {
            self.lag.positions = positions;
            self.lag.progress_at = Instant::now();
            return;
        }
        if self.lag.progress_at.elapsed() >= bound / 2 && self.lag.asked_at.elapsed() >= bound / 2 {
            self.ask_for_ends(consumer);
        }
        if self.lag.progress_at.elapsed() >= bound {
            self.lag.progress_at = Instant::now();
            let lag = self.lag();
            if lag > 0 {
                self.give_up(format!(
                    "{lag} records wait and none has come for {bound:?}"
                ));
            }
        }
    }

    /// A stuck fetcher does not see new records, so the brokers are asked.
    fn ask_for_ends(&mut self, consumer: &Client) {
        self.lag.asked_at = Instant::now();
        let last = self.lag.asked_last.take();
        let after = self
            .partitions
            .keys()
            .filter(|place| Some(*place) > last.as_ref());
        let asked: Vec<PartitionId> = after.take(ASKED_AT_ONCE).cloned().collect();
        for place in asked {
            if self.is_stopping() {
                return;
            }
            match consumer.fetch_watermarks(&place.0, place.1, ANSWER_WITHIN) {
                Ok((_, end)) => {
                    let seen = self.lag.seen.entry(place.clone()).or_default();
                    seen.end = seen.end.max(u64::try_from(end).unwrap_or(0));
                    self.lag.asked_last = Some(place);
                }
                // Who does not answer is not asked more.
                Err(_) => return,
            }
        }
    }

    /// Records that can be read and are not safe yet.
    fn lag(&mut self) -> u64 {
        self.lag
            .seen
            .retain(|place, _| self.partitions.contains_key(place));
        let is_idle = self.outstanding == 0 && self.pending.is_empty();
        let behind = self.partitions.iter().map(|(place, assigned)| {
            let seen = self.lag.seen.get(place).copied().unwrap_or_default();
            // Transaction markers at the end are offsets without records.
            let reached = if is_idle && !seen.waits {
                seen.fetches
            } else {
                0
            };
            seen.end.saturating_sub(assigned.next.max(reached))
        });
        behind.sum()
    }
}
