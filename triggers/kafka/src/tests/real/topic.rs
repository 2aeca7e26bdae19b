//! A topic of a test's own on a real broker, and what can be done to it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::super::Hasty;
use super::super::brokers::{Probe, numbers};
use crate::config::GroupProtocol;

/// A topic, its group, and the numbered records in it.
pub(super) struct Topic {
    pub(super) servers: String,
    pub(super) name: String,
    pub(super) partitions: i32,
    pub(super) protocol: GroupProtocol,
    probe: Probe,
    admin: AdminClient<DefaultClientContext>,
    written: usize,
}

// === impl Topic ===

impl Topic {
    /// A new topic with a name that no other run has used.
    pub(super) async fn make(servers: &str, partitions: i32, protocol: GroupProtocol) -> Self {
        let name = fresh_name();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers);
        let topic = Self {
            servers: servers.to_owned(),
            probe: Probe::new(servers, &group(&name)),
            name,
            partitions,
            protocol,
            admin: config.create().expect("a client"),
            written: 0,
        };
        topic.create().await;
        topic
    }

    /// A trigger that reads it from its beginning.
    pub(super) fn reader(&self) -> Hasty {
        Hasty::new(&self.servers, &self.name).speaking(self.protocol)
    }

    pub(super) fn group(&self) -> String {
        group(&self.name)
    }

    /// Writes so many records round robin over the partitions, numbered on from those before, and gives how many
    /// there are now.
    pub(super) fn write(&mut self, count: usize) -> usize {
        let (from, to) = (self.written, self.written + count);
        self.probe
            .write(&self.name, self.partitions, numbers(from, to));
        self.written = to;
        to
    }

    /// The same, each with so many bytes behind its number.
    pub(super) fn write_large(&mut self, count: usize, bytes: usize) -> usize {
        let (from, to) = (self.written, self.written + count);
        let padding = "x".repeat(bytes);
        let values = numbers(from, to).map(|number| number + &padding);
        self.probe.write(&self.name, self.partitions, values);
        self.written = to;
        to
    }

    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Notes records that somebody else wrote.
    pub(super) fn count(&mut self, more: usize) {
        self.written += more;
    }

    /// The group's committed offsets, added up.
    pub(super) fn committed(&self) -> u64 {
        self.probe.committed(&self.name, self.partitions)
    }

    pub(super) async fn delete(&self) {
        let deleted = self
            .admin
            .delete_topics(&[&self.name], &AdminOptions::new())
            .await;
        deleted.expect("an answer")[0].as_ref().expect("deleted");
    }

    pub(super) async fn create(&self) {
        let copies = TopicReplication::Fixed(1);
        let wanted = [NewTopic::new(&self.name, self.partitions, copies)];
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let made = self
                .admin
                .create_topics(&wanted, &AdminOptions::new())
                .await
                .expect("an answer");
            if made[0].is_ok() {
                return;
            }
            // A deletion takes effect a little after its answer.
            assert!(Instant::now() < deadline, "{made:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Deletes it and makes it anew, empty.
    pub(super) async fn make_anew(&mut self) {
        self.delete().await;
        self.come_back().await;
    }

    /// Makes it anew, empty, after it was deleted.
    pub(super) async fn come_back(&mut self) {
        self.create().await;
        // A producer remembers the topic that is gone.
        self.probe = Probe::new(&self.servers, &self.group());
    }

    pub(super) async fn add_partitions(&mut self, to: i32) {
        let count = usize::try_from(to).expect("positive");
        let wanted = [NewPartitions::new(&self.name, count)];
        let made = self
            .admin
            .create_partitions(&wanted, &AdminOptions::new())
            .await;
        made.expect("an answer")[0].as_ref().expect("added");
        self.partitions = to;
        self.probe = Probe::new(&self.servers, &self.group());
    }

    /// Has the broker remove all records below that offset in every partition.
    pub(super) async fn remove_below(&self, offset: i64) {
        let list = self.everywhere(offset);
        let removed = self.admin.delete_records(&list, &AdminOptions::new()).await;
        for entry in removed.expect("an answer").elements() {
            entry.error().expect("removed");
        }
    }

    /// Has the broker forget the group, which must be empty.
    pub(super) async fn forget_group(&self) {
        let group = self.group();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self
                .admin
                .delete_groups(&[&group], &AdminOptions::new())
                .await
                .expect("an answer");
            let Err((_, why)) = &answer[0] else { return };
            // The one that was in it leaves in the background.
            assert!(Instant::now() < deadline, "{why}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sets the group's offset in every partition, as Kafka's tools do; the group must be empty.
    pub(super) async fn reset_group(&self, offset: i64) {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("group.id", self.group());
        let tool: BaseConsumer = config.create().expect("a client");
        let list = self.everywhere(offset);
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(why) = tool.commit(&list, CommitMode::Sync) {
            assert!(Instant::now() < deadline, "{why}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn everywhere(&self, offset: i64) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.name, partition, Offset::Offset(offset))
                .expect("a valid offset");
        }
        list
    }
}

fn group(topic: &str) -> String {
    format!("group-of-{topic}")
}

fn fresh_name() -> String {
    let entropy = std::hash::RandomState::new();
    let number = std::hash::BuildHasher::hash_one(&entropy, 0);
    format!("tripline-{number:016x}")
}
