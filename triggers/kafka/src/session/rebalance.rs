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

use super::bounds::Bounds;
use super::{Assigned, Client, PartitionId, Session, add};
use crate::batch::Lease;
use crate::consumer::partitions;
use crate::positions::{Facts, Finding, Note, Plan, TopicNote, note_key, plan, stream, topic_key};

/// One answer from a broker, at most.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The group's committed offset of a partition, or why it is not known.
type Committed = Result<Option<u64>, String>;

// === impl Session ===

impl Session {
    /// The group gives us partitions: reading begins where the plan says.
    pub(crate) fn assigned(&mut self, consumer: &Client, given: &TopicPartitionList) {
        let begun = Instant::now();
        let (plans, unread) = self.plan_all(consumer, &places(given));
        let mut starts = TopicPartitionList::new();
        for (place, plan) in plans {
            add(&mut starts, &place.0, place.1, plan.start);
            self.begin(place, plan);
        }
        if !self.is_paused {
            self.forget_pause(consumer, &starts);
        }
        self.hold(consumer, &unread, &mut starts);
        let answer = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&starts),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(&starts),
        };
        if let Err(error) = answer {
            self.give_up(format!("partitions cannot be taken: {error}"));
        }
        if self.is_paused {
            self.apply_pause(consumer);
        }
        self.leave_unread(begun, unread);
        self.is_assigned = true;
        self.tell_partitions();
    }

    /// The group takes partitions away: what is safe is stored first, and committed by librdkafka before
    /// it lets go, unless somebody else has them already.
    pub(crate) fn revoked(&mut self, consumer: &Client, taken: &TopicPartitionList) {
        let mut places: Vec<PartitionId> = places(taken);
        let is_cooperative = matches!(
            consumer.rebalance_protocol(),
            RebalanceProtocol::Cooperative
        );
        if !is_cooperative {
            places = self.partitions.keys().cloned().collect();
            self.unread.places.clear();
        }
        self.drop_pending(&places);
        if !self.is_closing && !consumer.assignment_lost() {
            self.settle(consumer);
        }
        for place in &places {
            if let Some(assigned) = self.partitions.remove(place) {
                assigned.lease.end();
            }
            self.unread.places.remove(place);
        }
        let answer = if is_cooperative {
            consumer.incremental_unassign(taken)
        } else {
            consumer.unassign()
        };
        if let Err(error) = answer {
            self.give_up(format!("partitions cannot be given back: {error}"));
        }
        // The topic may be gone, which the group does not report in any other way.
        self.topics_in_doubt = true;
        self.tell_partitions();
        if self.partitions.is_empty() && self.unread.places.is_empty() && !self.is_closing {
            // Until the group gives out its partitions again, nobody knows what waits in ours.
            self.is_assigned = false;
            self.end_lag();
        }
    }

    /// librdkafka keeps a partition paused that was taken away in that state, also when it comes back.
    fn forget_pause(&mut self, consumer: &Client, given: &TopicPartitionList) {
        if let Err(error) = consumer.resume(given) {
            self.give_up(format!("partitions cannot be resumed: {error}"));
        }
    }

    /// Reports what is read, and what is not.
    pub(super) fn tell_partitions(&self) {
        if self.is_stopping() {
            return;
        }
        self.setup
            .cx
            .fact("partitions", self.partitions.len() as u64);
        if self.is_assigned {
            let unread = self.why_unread();
            self.setup.health.update(|state| {
                state.joined = true;
                state.unread = unread;
            });
        }
    }

    pub(super) fn begin(&mut self, place: PartitionId, plan: Plan) {
        self.tell_findings(&place, &plan.findings);
        let stream = stream(&self.cluster, &place.0, place.1, plan.note.incarnation);
        let lease = Arc::new(Lease::new(&place.0, place.1));
        let assigned = Assigned {
            lease,
            stream,
            note: plan.note,
            polled: plan.start,
            next: plan.start,
            stored: None,
        };
        self.unread.places.remove(&place);
        self.partitions.insert(place, assigned);
    }

    /// Where partitions begin, and why those that are left open do not.
    pub(super) fn plan_all(
        &self,
        consumer: &Client,
        places: &[PartitionId],
    ) -> (BTreeMap<PartitionId, Plan>, BTreeMap<PartitionId, String>) {
        let mut unread = BTreeMap::new();
        let plans = self.plan_most(consumer, places, &mut unread);
        let plans = plans.unwrap_or_else(|why| {
            unread.extend(places.iter().map(|place| (place.clone(), why.clone())));
            BTreeMap::new()
        });
        (plans, unread)
    }

    /// Asks brokers and journal what they know, decides, and keeps the decision before anything is read. What stands in
    /// the way of single partitions goes into `unread` and keeps no other from being read.
    fn plan_most(
        &self,
        consumer: &Client,
        places: &[PartitionId],
        unread: &mut BTreeMap<PartitionId, String>,
    ) -> Result<BTreeMap<PartitionId, Plan>, String> {
        let until = Instant::now() + self.setup.pacing.assign_within;
        // The group wants an answer from a consumer that is being closed, too, but nothing will be read.
        let stops = || Err("the trigger is to stop".to_owned());
        if self.is_stopping() {
            return stops();
        }
        let mut bounds = Bounds::new(consumer);
        let mut plans = BTreeMap::new();
        let mut entries = Vec::new();
        let topics = self.topic_notes(consumer, places, &mut entries)?;
        for (place, committed) in self.committed_offsets(consumer, places)? {
            // Each answer may take seconds, and there may be hundreds to wait for.
            if self.is_stopping() {
                return stops();
            }
            let known = if Instant::now() < until {
                committed.and_then(|committed| Ok((committed, bounds.of(&place)?)))
            } else {
                Err("the brokers take too long to tell where partitions begin".to_owned())
            };
            let (committed, bounds) = match known {
                Ok(known) => known,
                Err(why) => {
                    unread.insert(place, why);
                    continue;
                }
            };
            let mut facts = self.facts(&place, committed, bounds)?;
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
        places: &[PartitionId],
    ) -> Result<Vec<(PartitionId, Committed)>, String> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in places {
            asked.add_partition(topic, *partition);
        }
        let answer = consumer.committed_offsets(asked, ANSWER_WITHIN);
        let answer =
            answer.map_err(|error| format!("committed offsets cannot be read: {error}"))?;
        let mut found = Vec::with_capacity(places.len());
        for entry in answer.elements() {
            let committed = match (entry.error(), entry.offset()) {
                (Err(error), _) => Err(format!("its committed offset cannot be read: {error}")),
                (Ok(()), Offset::Offset(offset)) => Ok(u64::try_from(offset).ok()),
                (Ok(()), _) => Ok(None),
            };
            found.push(((entry.topic().to_owned(), entry.partition()), committed));
        }
        Ok(found)
    }

    fn facts(
        &self,
        place: &PartitionId,
        committed: Option<u64>,
        (low, high): (i64, i64),
    ) -> Result<Facts, String> {
        let (topic, partition) = (place.0.as_str(), place.1);
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
        places: &[PartitionId],
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

    fn tell_findings(&self, (topic, partition): &PartitionId, findings: &[Finding]) {
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

fn places(list: &TopicPartitionList) -> Vec<PartitionId> {
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
