//! Where partitions begin and end, as reported by the brokers that lead them.

use std::collections::BTreeMap;

use rdkafka::consumer::Consumer;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::rebalance::ANSWER_WITHIN;
use super::{Client, PartitionId};

/// The leaders of a topic's partitions, or why they are not known.
type Leaders = Result<BTreeMap<i32, i32>, String>;

/// One round of questions. The group waits for it, so what does not answer is waited for once: a partition without a
/// leader not at all, and a leader that is silent not again for its other partitions.
pub(super) struct Bounds<'c> {
    consumer: &'c Client,
    topics: BTreeMap<String, Leaders>,
    silent: BTreeMap<i32, String>,
}

// === impl Bounds ===

impl<'c> Bounds<'c> {
    pub(super) fn new(consumer: &'c Client) -> Self {
        Self {
            consumer,
            topics: BTreeMap::new(),
            silent: BTreeMap::new(),
        }
    }

    /// The first offset that is there, and the one that the next record gets.
    pub(super) fn of(&mut self, (topic, partition): &PartitionId) -> Result<(i64, i64), String> {
        let leader = self.leader(topic, *partition)?;
        if let Some(why) = self.silent.get(&leader) {
            return Err(why.clone());
        }
        let bounds = self
            .consumer
            .fetch_watermarks(topic, *partition, ANSWER_WITHIN);
        bounds.map_err(|error| {
            let why = format!("broker {leader} does not tell its bounds: {error}");
            let code = error.rdkafka_error_code();
            if let Some(Code::OperationTimedOut | Code::BrokerTransportFailure) = code {
                self.silent.insert(leader, why.clone());
            }
            why
        })
    }

    fn leader(&mut self, topic: &str, partition: i32) -> Result<i32, String> {
        if !self.topics.contains_key(topic) {
            let leaders = leaders(self.consumer, topic);
            self.topics.insert(topic.to_owned(), leaders);
        }
        let leaders = self.topics[topic].as_ref().map_err(String::clone)?;
        match leaders.get(&partition) {
            Some(leader) if *leader >= 0 => Ok(*leader),
            Some(_) => Err("no broker leads it".to_owned()),
            None => Err("the brokers do not know it".to_owned()),
        }
    }
}

fn leaders(consumer: &Client, topic: &str) -> Leaders {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN);
    let metadata = metadata.map_err(|error| format!("its leader cannot be asked for: {error}"))?;
    let mut topics = metadata.topics().iter();
    let found = topics.find(|found| found.name() == topic);
    let partitions = found.map(|found| found.partitions()).unwrap_or_default();
    Ok(partitions
        .iter()
        .map(|partition| (partition.id(), partition.leader()))
        .collect())
}
