//! Records of a real broker, on their way to a function.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::task::JoinSet;
use tripline_tests::{Hub, KafkaNode, eventually_within, kafka};

const CONFIG: &str = r#"
[functions.ledger]
command = ["sh", "-c", "echo \"$(cat)\" >> ledger"]
concurrency = 2
[triggers.orders]
kind = "kafka"
function = "ledger"
"bootstrap.servers" = "BOOTSTRAP"
"group.id" = "GROUP"
topics = ["TOPIC"]
"auto.offset.reset" = "earliest"
"session.timeout.ms" = 6000
"#;

pub(super) async fn topic(bootstrap: &str, name: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .unwrap();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
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

async fn produce(producer: &FutureProducer, topic: &str, values: std::ops::Range<usize>) {
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

fn config(bootstrap: &str, topic: &str) -> String {
    let group = format!("group-{topic}");
    CONFIG
        .replace("BOOTSTRAP", bootstrap)
        .replace("TOPIC", topic)
        .replace("GROUP", &group)
}

/// A hub whose functions find the ledger: they can write to what is there, but make nothing new beside the data.
async fn with_ledger(config: &str) -> Hub {
    let mut hub = Hub::prepare(config);
    hub.write("ledger", "");
    hub.launch().await;
    hub
}

/// Waits until every record of 0..count is in the ledgers, and checks that none is there twice.
async fn all_once(hubs: &[&Hub], count: usize) {
    let read = || {
        let mut values: Vec<usize> = hubs
            .iter()
            .flat_map(|hub| hub.lines("ledger"))
            .filter_map(|line| line.strip_prefix('r')?.parse().ok())
            .collect();
        values.sort_unstable();
        values
    };
    eventually_within(
        Duration::from_secs(120),
        "every record has run",
        async || (read().len() >= count).then_some(()),
    )
    .await;
    assert_eq!(read(), (0..count).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_runs_once_over_a_kill_of_the_hub() {
    let Some(bootstrap) = kafka("records over a kill of the hub") else {
        return;
    };
    topic(&bootstrap, "e2e-kill", 3).await;
    let producer = producer(&bootstrap);
    produce(&producer, "e2e-kill", 0..50).await;
    let text = config(&bootstrap, "e2e-kill");
    let mut hub = with_ledger(&text).await;
    all_once(&[&hub], 50).await;
    hub.kill().await;
    produce(&producer, "e2e-kill", 50..100).await;
    hub.launch().await;
    all_once(&[&hub], 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_share_a_topic_and_each_record_runs() {
    let Some(bootstrap) = kafka("a rebalance between two hubs") else {
        return;
    };
    topic(&bootstrap, "e2e-rebalance", 4).await;
    let producer = producer(&bootstrap);
    let text = config(&bootstrap, "e2e-rebalance");
    let first = with_ledger(&text).await;
    produce(&producer, "e2e-rebalance", 0..40).await;
    all_once(&[&first], 40).await;
    let second = with_ledger(&text).await;
    let partitions =
        async |hub: &Hub| hub.get("/v1/triggers/orders").await["facts"]["partitions"].as_u64();
    eventually_within(
        Duration::from_secs(60),
        "each hub has two partitions",
        async || {
            let both = (partitions(&first).await?, partitions(&second).await?);
            (both == (2, 2)).then_some(())
        },
    )
    .await;
    produce(&producer, "e2e-rebalance", 40..80).await;
    all_once(&[&first, &second], 80).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_under_load_is_taken_up_again() {
    let Some(node) = KafkaNode::start("a broker restart under load") else {
        return;
    };
    topic(&node.bootstrap, "e2e-restart", 2).await;
    let hub = with_ledger(&config(&node.bootstrap, "e2e-restart")).await;
    let producer = producer(&node.bootstrap);
    produce(&producer, "e2e-restart", 0..30).await;
    node.run("kill");
    let mut load = JoinSet::new();
    load.spawn(async move {
        produce(&producer, "e2e-restart", 30..60).await;
    });
    node.run("start");
    load.join_all().await;
    all_once(&[&hub], 60).await;
}
