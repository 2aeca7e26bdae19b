//! Partitions come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{Consumer, RebalanceProtocol};
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tripline_model::CursorEntry;

use super::{Assigned, Client, Place, Session, add};
use crate::batch::Lease;
use crate::consumer::partitions;
use crate::positions::{Facts, Finding, Note, Plan, TopicNote, note_key, plan, stream, topic_key};

/// One answer from a broker, at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

// === impl Session ===

impl Session {
    /// The group gives us partitions: reading begins where the plan says.
    pub(crate) fn assigned(&mut self, consumer: &Client, given: &TopicPartitionList) {
        let places: Vec<Place> = places(given);
        let mut starts = TopicPartitionList::new();
        let plans = if self.is_stopping() {
            Err("the consumer is being closed".to_owned())
        } else {
            self.plan_all(consumer, &places)
        };
        match plans {
            Ok(plans) => {
                for (place, plan) in plans {
                    add(&mut starts, &place.0, place.1, plan.start);
                    self.begin(place, plan);
                }
            }
            // The group wants an answer all the same; this consumer polls no record any more.
            Err(why) => self.give_up(why),
        }
        let starts = if starts.count() == given.count() {
            &starts
        } else {
            given
        };
        if !self.is_paused {
            self.forget_pause(consumer, starts);
        }
        let answer = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(starts),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(starts),
        };
        if let Err(error) = answer {
            self.give_up(format!("partitions cannot be taken: {error}"));
        }
        if self.is_paused {
            self.apply_pause(consumer);
        }
        self.tell_partitions();
        self.setup.health.update(|state| state.joined = true);
    }

    /// The group takes partitions away: what is safe is stored first, and committed by librdkafka before
    /// it lets go, unless somebody else has them already.
    pub(crate) fn revoked(&mut self, consumer: &Client, taken: &TopicPartitionList) {
        let mut places: Vec<Place> = places(taken);
        let is_cooperative = matches!(
            consumer.rebalance_protocol(),
            RebalanceProtocol::Cooperative
        );
        if !is_cooperative {
            places = self.partitions.keys().cloned().collect();
        }
        self.drop_pending(&places);
        if !self.is_closing && !consumer.assignment_lost() {
            self.settle(consumer);
        }
        for place in &places {
            if let Some(assigned) = self.partitions.remove(place) {
                assigned.lease.end();
            }
        }
        let answer = if is_cooperative {
            consumer.incremental_unassign(taken)
        } else {
            consumer.unassign()
        };
        if let Err(error) = answer {
            self.give_up(format!("partitions cannot be given back: {error}"));
        }
        // The topic may be gone, which the group does not say in other words.
        self.topics_in_doubt = true;
        self.tell_partitions();
    }

    /// librdkafka keeps a partition paused that was taken away in that state, also when it comes back.
    fn forget_pause(&mut self, consumer: &Client, given: &TopicPartitionList) {
        if let Err(error) = consumer.resume(given) {
            self.give_up(format!("partitions cannot be resumed: {error}"));
        }
    }

    pub(super) fn tell_partitions(&self) {
        if self.is_closing {
            return;
        }
        self.setup
            .cx
            .fact("partitions", self.partitions.len() as u64);
    }

    fn begin(&mut self, place: Place, plan: Plan) {
        self.tell_findings(&place, &plan.findings);
        let stream = stream(&self.cluster, &place.0, place.1, plan.note.incarnation);
        let lease = Arc::new(Lease::new(&place.0, place.1));
        let assigned = Assigned {
            lease,
            stream,
            note: plan.note,
            next: plan.start,
            stored: None,
        };
        self.partitions.insert(place, assigned);
    }

    /// Asks brokers and journal what they know, decides, and keeps the decision before anything is read.
    fn plan_all(
        &self,
        consumer: &Client,
        places: &[Place],
    ) -> Result<BTreeMap<Place, Plan>, String> {
        let until = Instant::now() + self.setup.pacing.assign_within;
        let mut plans = BTreeMap::new();
        let mut entries = Vec::new();
        let topics = self.topic_notes(consumer, places, &mut entries)?;
        for (place, committed) in self.committed_offsets(consumer, places)? {
            if Instant::now() >= until {
                return Err("the brokers take too long to tell where partitions begin".to_owned());
            }
            // Each answer may take seconds, and there may be hundreds to wait for.
            if self.is_stopping() {
                return Err("the trigger is to stop".to_owned());
            }
            let mut facts = self.facts(consumer, &place, committed)?;
            let topic = topics.get(&place.0);
            facts.is_added =
                topic.is_some_and(|topic| topic.lacks(place.1, facts.topic_id.as_ref()));
            let before = facts.note.clone();
            let plan = plan(facts, self.setup.config.reset);
            if before.as_ref() != Some(&plan.note) {
                let key = note_key(&self.cluster, &place.0, place.1);
                entries.push(entry(key, &plan.note)?);
            }
            plans.insert(place, plan);
        }
        if !entries.is_empty() {
            let put = self.setup.cx.cursors().put(self.setup.cx.name(), entries);
            self.journal(put)?;
        }
        Ok(plans)
    }

    fn committed_offsets(
        &self,
        consumer: &Client,
        places: &[Place],
    ) -> Result<Vec<(Place, Option<u64>)>, String> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in places {
            asked.add_partition(topic, *partition);
        }
        let answer = consumer.committed_offsets(asked, ANSWER_WITHIN);
        let answer =
            answer.map_err(|error| format!("committed offsets cannot be read: {error}"))?;
        let mut found = Vec::with_capacity(places.len());
        for entry in answer.elements() {
            entry
                .error()
                .map_err(|error| format!("committed offsets cannot be read: {error}"))?;
            let committed = match entry.offset() {
                Offset::Offset(offset) => u64::try_from(offset).ok(),
                _ => None,
            };
            found.push(((entry.topic().to_owned(), entry.partition()), committed));
        }
        Ok(found)
    }

    fn facts(
        &self,
        consumer: &Client,
        place: &Place,
        committed: Option<u64>,
    ) -> Result<Facts, String> {
        let (topic, partition) = (place.0.as_str(), place.1);
        let bounds = consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN);
        let (low, high) = bounds.map_err(|error| {
            format!("the bounds of topic `{topic}` partition {partition} cannot be read: {error}")
        })?;
        let cursors = self.setup.cx.cursors();
        let key = note_key(&self.cluster, topic, partition);
        let note: Option<Note> = self.kept(&key)?;
        let incarnation = note.as_ref().map_or(0, |note| note.incarnation);
        let stream = stream(&self.cluster, topic, partition, incarnation);
        let watermark = self.journal(cursors.watermark(self.setup.cx.name(), &stream))?;
        let known = |offset: i64| u64::try_from(offset).unwrap_or(0);
        Ok(Facts {
            note,
            watermark,
            committed,
            low: known(low),
            high: known(high),
            topic_id: self.topic_ids.get(topic).cloned(),
            is_added: false,
        })
    }

    /// What was kept of the topics; of those that are new to the hub, or were made anew, a note is added to `entries`.
    fn topic_notes(
        &self,
        consumer: &Client,
        places: &[Place],
        entries: &mut Vec<CursorEntry>,
    ) -> Result<BTreeMap<String, TopicNote>, String> {
        let mut notes = BTreeMap::new();
        for (topic, _) in places {
            if notes.contains_key(topic) {
                continue;
            }
            let key = topic_key(&self.cluster, topic);
            let kept: Option<TopicNote> = self.kept(&key)?;
            let topic_id = self.topic_ids.get(topic);
            let is_known = kept.as_ref().is_some_and(|note| note.is_of(topic_id));
            let fresh = TopicNote {
                topic_id: topic_id.cloned(),
                partitions: match self.counts.get(topic) {
                    Some(count) => *count,
                    None => partitions(consumer, topic).map_err(|error| {
                        format!("the partitions of topic `{topic}` cannot be read: {error}")
                    })?,
                },
            };
            if !is_known {
                entries.push(entry(key, &fresh)?);
            }
            notes.insert(topic.clone(), kept.unwrap_or(fresh));
        }
        Ok(notes)
    }

    /// A note in the journal.
    fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, String> {
        let asked = self
            .setup
            .cx
            .cursors()
            .get(self.setup.cx.name(), key.as_bytes());
        let Some(bytes) = self.journal(asked)? else {
            return Ok(None);
        };
        let note = serde_json::from_slice(&bytes);
        note.map(Some)
            .map_err(|error| format!("the note `{key}` cannot be read: {error}"))
    }

    /// Waits for the journal, but not for ever: the group waits for us.
    fn journal<T, E: std::fmt::Display>(
        &self,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        let answer = self
            .setup
            .runtime
            .block_on(async { timeout(ANSWER_WITHIN, asked).await });
        match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("the journal does not answer".to_owned()),
        }
    }

    fn tell_findings(&self, (topic, partition): &Place, findings: &[Finding]) {
        let trigger = self.setup.cx.name();
        for finding in findings {
            if finding.is_grave() {
                tracing::warn!(%trigger, topic, partition, "{finding}");
                let fact = format!("{topic}/{partition}: {finding}");
                self.setup.cx.fact("last_finding", fact);
            } else {
                tracing::info!(%trigger, topic, partition, "{finding}");
            }
        }
    }
}

fn places(list: &TopicPartitionList) -> Vec<Place> {
    let elements = list.elements().into_iter();
    elements
        .map(|entry| (entry.topic().to_owned(), entry.partition()))
        .collect()
}

fn entry(key: String, note: &impl Serialize) -> Result<CursorEntry, String> {
    let value = serde_json::to_vec(note).map_err(|error| error.to_string())?;
    Ok(CursorEntry {
        key: Bytes::from(key),
        value: Some(value.into()),
    })
}
