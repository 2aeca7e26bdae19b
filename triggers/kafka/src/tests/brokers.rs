//! Brokers for tests: librdkafka's mock cluster behind a thread, a producer, and a look at committed offsets.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

type Mock = MockCluster<'static, DefaultProducerContext>;
type Job = Box<dyn FnOnce(&Mock) + Send>;

/// Mock brokers; gone when dropped. They live on one thread, because they cannot be sent between threads.
pub(super) struct Brokers {
    pub(super) servers: String,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Writes records and reads committed offsets of one group.
pub(super) struct Probe {
    producer: BaseProducer,
    consumer: BaseConsumer,
}

// === impl Brokers ===

impl Brokers {
    pub(super) fn start(count: i32) -> Self {
        let (jobs, queue) = sync_channel::<Job>(4);
        let (sender, receiver) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let mock = MockCluster::new(count).expect("mock brokers start");
            sender
                .send(mock.bootstrap_servers())
                .expect("the test waits");
            while let Ok(job) = queue.recv() {
                job(&mock);
            }
        });
        let servers = receiver.recv().expect("mock brokers tell their address");
        Self {
            servers,
            jobs: Some(jobs),
            thread: Some(thread),
        }
    }

    pub(super) fn with_topic(self, topic: &'static str, partitions: i32) -> Self {
        self.ask(move |mock| mock.create_topic(topic, partitions, 1).expect("a topic"));
        self
    }

    /// Does something with the brokers and returns when it is done.
    pub(super) fn ask(&self, job: impl FnOnce(&Mock) + Send + 'static) {
        let (sender, receiver) = sync_channel(1);
        let job = move |mock: &Mock| {
            job(mock);
            sender.send(()).expect("the test waits");
        };
        self.jobs
            .as_ref()
            .expect("not dropped")
            .send(Box::new(job))
            .expect("the thread lives");
        receiver.recv().expect("the job did not panic");
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

// === impl Probe ===

impl Probe {
    pub(super) fn new(servers: &str, group: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", servers)
            .set("group.id", group);
        config.set("enable.auto.commit", "false");
        let consumer = config.create().expect("a consumer");
        config.remove("group.id");
        config.remove("enable.auto.commit");
        Self {
            producer: config.create().expect("a producer"),
            consumer,
        }
    }

    /// Writes `values` round robin over `partitions`, and returns when they are stored.
    pub(super) fn write(&self, topic: &str, partitions: i32, values: impl Iterator<Item = String>) {
        for (at, value) in values.enumerate() {
            let partition = i32::try_from(at).expect("few records") % partitions;
            let record = BaseRecord::<(), str>::to(topic)
                .partition(partition)
                .payload(&value);
            self.producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("room in the queue");
        }
        self.flush();
    }

    pub(super) fn send(&self, record: BaseRecord<'_, [u8], [u8]>) {
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("room in the queue");
        self.flush();
    }

    fn flush(&self) {
        self.producer
            .flush(Duration::from_secs(20))
            .expect("the brokers store the records");
    }

    /// The group's committed offsets, added up; a partition without one counts as 0.
    pub(super) fn committed(&self, topic: &str, partitions: i32) -> u64 {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        let found = self
            .consumer
            .committed_offsets(list, Duration::from_secs(10));
        let offsets = found.expect("the brokers answer");
        let committed = offsets
            .elements()
            .into_iter()
            .map(|entry| match entry.offset() {
                Offset::Offset(offset) => u64::try_from(offset).expect("offsets are not negative"),
                _ => 0,
            });
        committed.sum()
    }
}

/// Numbered values.
pub(super) fn numbers(from: usize, to: usize) -> impl Iterator<Item = String> {
    (from..to).map(|number| format!("{number:06}"))
}

/// A probe that blocks may be used from async tests: they have threads to spare.
pub(super) fn probe(brokers: &Brokers, topic: &str) -> Arc<Probe> {
    Arc::new(Probe::new(&brokers.servers, &format!("group-of-{topic}")))
}
