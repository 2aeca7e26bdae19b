//! A hub that stands still for longer than its group waits for it.

use std::time::Duration;

use nix::sys::signal::Signal;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tripline_tests::{eventually, eventually_within, kafka};

use super::{
    PATIENCE, PROTOCOLS, all_committed, all_once, config, produce, producer, topic, with_ledgers,
};

const TOPIC: &str = "e2e-halted";
const PARTITIONS: usize = 2;

/// Another member of the hub's group, which commits nothing.
fn member(bootstrap: &str, protocol: &str) -> BaseConsumer {
    let mut member = ClientConfig::new();
    member
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("{TOPIC}-{protocol}"))
        .set("group.protocol", protocol)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    if protocol == "classic" {
        member.set("partition.assignment.strategy", "cooperative-sticky");
    }
    let member: BaseConsumer = member.create().unwrap();
    member.subscribe(&[TOPIC]).unwrap();
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_its_group_gave_up_runs_each_record_once() {
    let Some(bootstrap) = kafka("a hub that is halted") else {
        return;
    };
    topic(&bootstrap, TOPIC, 2, 1).await;
    let producer = producer(&bootstrap);
    let hub = with_ledgers(&config(&bootstrap, TOPIC)).await;
    produce(&producer, TOPIC, 0..20).await;
    all_once(&[&hub], 20).await;
    all_committed(&bootstrap, TOPIC, 2, 20).await;

    hub.halt().await;
    produce(&producer, TOPIC, 20..40).await;
    let members = PROTOCOLS.map(|protocol| (protocol, member(&bootstrap, protocol)));
    for (protocol, member) in &members {
        let what = format!("another member has all partitions and reads them, {protocol}");
        eventually_within(PATIENCE, &what, async || {
            let read = member.poll(Duration::from_millis(100))?;
            let all = member.assignment().unwrap().count() == PARTITIONS;
            (read.is_ok() && all).then_some(())
        })
        .await;
    }
    drop(members);
    produce(&producer, TOPIC, 40..60).await;
    hub.signal(Signal::SIGCONT);

    all_once(&[&hub], 60).await;
    all_committed(&bootstrap, TOPIC, 2, 60).await;
    for protocol in PROTOCOLS {
        eventually(&format!("the trigger runs, {protocol}"), async || {
            let status = hub.get(&format!("/v1/triggers/{protocol}")).await;
            (status["state"] == "running").then_some(())
        })
        .await;
    }
}
