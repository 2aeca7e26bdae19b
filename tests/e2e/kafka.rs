//! Records of a real broker, on their way to a function: in both group protocols, side by side.

mod brokers;
mod credentials;
mod halted;
mod login;
mod records;
mod uncreated;
mod waiting;

use std::ops::Range;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tripline_tests::{Hub, eventually_within, kafka};

/// Group protocols, which are the names of triggers, functions and ledgers, too.
const PROTOCOLS: [&str; 2] = ["classic", "consumer"];

const CONFIG: &str = r#"
[functions.PROTOCOL]
command = ["sh", "-c", "echo \"$(cat)\" >> PROTOCOL"]
concurrency = 2
[triggers.PROTOCOL]
kind = "kafka"
function = "PROTOCOL"
"bootstrap.servers" = "BOOTSTRAP"
"group.protocol" = "PROTOCOL"
"group.id" = "TOPIC-PROTOCOL"
topics = ["TOPIC"]
"auto.offset.reset" = "earliest"
"#;

const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn topic(bootstrap: &str, name: &str, partitions: i32, copies: i32) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .unwrap();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(copies));
    for result in admin
        .create_topics([&topic], &AdminOptions::new())
        .await
        .unwrap()
    {
        result.unwrap();
    }
}

fn producer(bootstrap: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("message.timeout.ms", "60000")
        .set("enable.idempotence", "true")
        .create()
        .unwrap()
}

async fn produce(producer: &FutureProducer, topic: &str, values: Range<usize>) {
    for value in values {
        let (key, value) = (format!("k{}", value % 7), format!("r{value}"));
        let record = FutureRecord::to(topic).key(&key).payload(&value);
        producer
            .send(record, Duration::from_secs(60))
            .await
            .map_err(|(error, _)| error)
            .unwrap();
    }
}

/// A trigger, a function and a ledger for each protocol.
fn config(bootstrap: &str, topic: &str) -> String {
    let all = PROTOCOLS.map(|protocol| {
        let mut text = CONFIG.replace("PROTOCOL", protocol);
        if protocol == "classic" {
            text += "\"session.timeout.ms\" = 6000\n";
        }
        text
    });
    let all = all.concat();
    all.replace("BOOTSTRAP", bootstrap).replace("TOPIC", topic)
}

/// A hub whose functions find the ledgers: they can write to what is there, but make nothing new beside the data.
async fn with_ledgers(config: &str) -> Hub {
    let mut hub = Hub::prepare(config);
    for protocol in PROTOCOLS {
        hub.write(protocol, "");
    }
    hub.launch().await;
    hub
}

/// The numbers of the records in the ledgers, in order.
fn ledger(hubs: &[&Hub], protocol: &str) -> Vec<usize> {
    let lines = hubs.iter().flat_map(|hub| hub.lines(protocol));
    let mut values: Vec<usize> = lines
        .filter_map(|line| line.strip_prefix('r')?.parse().ok())
        .collect();
    values.sort_unstable();
    values
}

/// Waits until every record of 0..count is in the ledgers, and checks that none is there twice.
async fn all_once(hubs: &[&Hub], count: usize) {
    for protocol in PROTOCOLS {
        let what = format!("every record has run, {protocol}");
        eventually_within(PATIENCE, &what, async || {
            (ledger(hubs, protocol).len() >= count).then_some(())
        })
        .await;
    }
    for protocol in PROTOCOLS {
        let all: Vec<usize> = (0..count).collect();
        assert_eq!(ledger(hubs, protocol), all, "{protocol}");
    }
}

/// Waits until the groups have committed that many records of the topic.
async fn all_committed(bootstrap: &str, topic: &str, partitions: i32, count: usize) {
    for protocol in PROTOCOLS {
        let group = format!("{topic}-{protocol}");
        let what = format!("{group} has committed {count}");
        eventually_within(PATIENCE, &what, async || {
            (committed(bootstrap, &group, topic, partitions) == count).then_some(())
        })
        .await;
    }
}

/// What a group has committed, added up over the partitions.
fn committed(bootstrap: &str, group: &str, topic: &str, partitions: i32) -> usize {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let found = client
        .committed_offsets(list, Duration::from_secs(10))
        .unwrap();
    let offsets = found.elements().into_iter().map(|entry| entry.offset());
    offsets
        .map(|offset| match offset {
            Offset::Offset(offset) => usize::try_from(offset).unwrap(),
            _ => 0,
        })
        .sum()
}

/// Waits until each of two hubs has half of the partitions.
async fn each_has(hubs: [&Hub; 2], count: u64) {
    for protocol in PROTOCOLS {
        let path = format!("/v1/triggers/{protocol}");
        let partitions = async |hub: &Hub| hub.get(&path).await["facts"]["partitions"].as_u64();
        let what = format!("each hub has {count} partitions, {protocol}");
        eventually_within(PATIENCE, &what, async || {
            let both = (partitions(hubs[0]).await?, partitions(hubs[1]).await?);
            (both == (count, count)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_runs_once_over_a_kill_of_the_hub_and_the_loss_of_its_data() {
    let Some(bootstrap) = kafka("records over a kill of the hub") else {
        return;
    };
    topic(&bootstrap, "e2e-kill", 3, 1).await;
    let producer = producer(&bootstrap);
    produce(&producer, "e2e-kill", 0..50).await;
    let text = config(&bootstrap, "e2e-kill");
    let mut hub = with_ledgers(&text).await;
    all_once(&[&hub], 50).await;
    hub.kill().await;
    produce(&producer, "e2e-kill", 50..100).await;
    hub.launch().await;
    all_once(&[&hub], 100).await;
    // Without the journal the group's offset is all there is; nothing begins from the start.
    all_committed(&bootstrap, "e2e-kill", 3, 100).await;
    hub.kill().await;
    std::fs::remove_dir_all(hub.path("data")).unwrap();
    produce(&producer, "e2e-kill", 100..120).await;
    hub.launch().await;
    all_once(&[&hub], 120).await;
    let lines = hub.lines("hub.log");
    let lines = lines
        .iter()
        .filter(|line| line.contains("goes on at the group's offset"));
    assert_eq!(lines.count(), 3 * PROTOCOLS.len(), "one line a partition");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_share_a_topic_and_each_record_runs() {
    let Some(bootstrap) = kafka("a rebalance between two hubs") else {
        return;
    };
    topic(&bootstrap, "e2e-rebalance", 4, 1).await;
    let producer = producer(&bootstrap);
    let text = config(&bootstrap, "e2e-rebalance");
    let first = with_ledgers(&text).await;
    produce(&producer, "e2e-rebalance", 0..40).await;
    all_once(&[&first], 40).await;
    let second = with_ledgers(&text).await;
    each_has([&first, &second], 2).await;
    produce(&producer, "e2e-rebalance", 40..80).await;
    all_once(&[&first, &second], 80).await;
    all_committed(&bootstrap, "e2e-rebalance", 4, 80).await;
}
