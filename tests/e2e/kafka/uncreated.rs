//! Brokers that make every topic that somebody asks for.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tripline_tests::{KafkaNode, eventually, eventually_within};

use super::{PATIENCE, PROTOCOLS, all_once, config, produce, producer, topic, with_ledgers};

const TOPIC: &str = "e2e-deleted";
const CARELESS: &str = "e2e-careless";

/// The names of all topics. Asking for all of them makes none.
fn topics(admin: &AdminClient<DefaultClientContext>) -> Vec<String> {
    let found = admin
        .inner()
        .fetch_metadata(None, Duration::from_secs(10))
        .unwrap();
    let names = found.topics().iter().map(|topic| topic.name().to_owned());
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_is_not_made_by_asking_for_it() {
    let Some(node) = KafkaNode::start("brokers that make topics") else {
        return;
    };
    node.reconfigure(&[("auto.create.topics.enable", "true")]);
    topic(&node.bootstrap, TOPIC, 1, 1).await;
    let hub = with_ledgers(&config(&node.bootstrap, TOPIC)).await;
    produce(&producer(&node.bootstrap), TOPIC, 0..3).await;
    all_once(&[&hub], 3).await;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &node.bootstrap)
        .create()
        .unwrap();
    assert!(topics(&admin).contains(&TOPIC.to_owned()));
    let deleted = admin.delete_topics(&[TOPIC], &AdminOptions::new()).await;
    deleted.unwrap()[0].as_ref().unwrap();
    for protocol in PROTOCOLS {
        let what = format!("the topic is missed, {protocol}");
        eventually_within(PATIENCE, &what, async || {
            let status = hub.get(&format!("/v1/triggers/{protocol}")).await;
            (status["state"] == "troubled").then_some(())
        })
        .await;
    }
    let output = hub.cli(&["doctor", "tripline.toml"]);
    assert!(output.stdout.contains(TOPIC), "{output:?}");
    assert_eq!(output.code, 1, "{output:?}");
    // The broker takes its time to make one. One that is asked for later, as the hub must not ask, comes later.
    let careless: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &node.bootstrap)
        .set("allow.auto.create.topics", "true")
        .create()
        .unwrap();
    let patience = Duration::from_secs(10);
    careless.fetch_metadata(Some(CARELESS), patience).unwrap();
    let there = eventually("a topic is made by asking for it", async || {
        Some(topics(&admin)).filter(|all| all.contains(&CARELESS.to_owned()))
    })
    .await;
    assert!(!there.contains(&TOPIC.to_owned()), "{there:?}");
}
