//! A bad network between the trigger and a real broker.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::time::timeout;
use tripline_trigger::testkit::{ChaosProxy, Direction, Network, TestContext};
use tripline_trigger::{FactValue, TriggerState};

use super::topic::Topic;
use super::{STOP, each_once, in_both, proxy};
use crate::tests::{Hasty, until, until_fact};

/// How long after its end a trouble may still be felt.
const HEALED_WITHIN: Duration = Duration::from_secs(15);

/// A reader behind the proxy, that notices within seconds that nobody answers.
fn behind(proxy: &ChaosProxy, topic: &Topic) -> Hasty {
    let mut reader = Hasty::new(&proxy.address().to_string(), &topic.name);
    reader = reader.speaking(topic.protocol);
    reader.config.group_id = Some(format!("{}-behind", topic.group()));
    reader
        .with("socket.timeout.ms", "2000")
        .with("socket.connection.setup.timeout.ms", "1000")
}

/// Partitions, black holes and refusals, one after the other.
async fn is_told_and_survived(mut topic: Topic) {
    let proxy = proxy().await;
    let (around, neighbour) = (TestContext::new("orders"), TestContext::new("neighbour"));
    let run = around.run(behind(&proxy, &topic).build());
    let beside = neighbour.run(topic.reader().build());
    until_fact(&run, "partitions", 2_u64).await;
    let (to_server, to_client) = (Direction::ToServer, Direction::ToClient);
    for trouble in [
        Network::Blackhole,
        Network::OneWay { held: to_client },
        Network::OneWay { held: to_server },
        Network::Refuse,
    ] {
        topic.write(50);
        proxy.set(trouble);
        if trouble == Network::Refuse {
            proxy.reset();
        }
        let meanwhile = topic.write(50);
        run.wait_state(TriggerState::Troubled).await;
        // Whoever is not behind the bad network does not feel it.
        neighbour.dispatch().wait_accepted(meanwhile).await;
        assert_eq!(beside.status().state, TriggerState::Running);
        proxy.set(Network::Pass);
        let all = topic.write(10);
        let healed = async {
            around.dispatch().wait_accepted(all).await;
            run.wait_state(TriggerState::Running).await;
        };
        if timeout(HEALED_WITHIN, healed).await.is_err() {
            panic!("{trouble:?} is felt too long: {:?}", run.status());
        }
        assert!(proxy.connections() > 0, "it went another way");
    }
    run.stop(STOP).await.unwrap();
    beside.stop(STOP).await.unwrap();
    each_once(&around, topic.written()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_partition_is_told_and_ends_without_loss() {
    in_both("a network that parts", 2, is_told_and_survived).await;
}

async fn goes_on(mut topic: Topic) {
    let proxy = proxy().await;
    let around = TestContext::new("orders");
    let run = around.run(behind(&proxy, &topic).build());
    until_fact(&run, "partitions", 2_u64).await;
    for round in 1..=10 {
        let all = topic.write(100);
        if round % 2 == 0 {
            proxy.cut();
        } else {
            proxy.reset();
        }
        around.dispatch().wait_accepted(all).await;
    }
    proxy.set(Network::Slow {
        bytes_per_second: 50_000,
        latency: Duration::from_millis(20),
    });
    let all = topic.write(500);
    around.dispatch().wait_accepted(all).await;
    proxy.set(Network::Pass);
    run.stop(STOP).await.unwrap();
    each_once(&around, topic.written()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resets_and_a_slow_link_only_take_time() {
    in_both("resets and a slow link", 2, goes_on).await;
}

/// Joins the group in the place of a member that is silent, until all partitions are given to it.
fn take_over(topic: &Topic) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &topic.servers)
        .set("group.id", format!("{}-behind", topic.group()))
        .set("group.protocol", topic.protocol.word())
        .set("enable.auto.commit", "false");
    if topic.protocol == crate::config::GroupProtocol::Classic {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    let other: BaseConsumer = config.create().expect("a consumer");
    other.subscribe(&[&topic.name]).expect("subscribed");
    other
}

async fn is_taken_up_again(mut topic: Topic) {
    let proxy = proxy().await;
    let around = TestContext::new("orders");
    around.dispatch().hold();
    // As many as are on the way at a time, counted in bytes, and more.
    let all = topic.write_large(60, 300_000);
    let run = around.run(behind(&proxy, &topic).build());
    until_fact(&run, "paused", true).await;
    proxy.set(Network::Blackhole);
    let other = take_over(&topic);
    until("the session has ended", || {
        drop(other.poll(Duration::from_millis(100)));
        let given = other.assignment().expect("an assignment");
        (given.count() == 2).then_some(())
    })
    .await;
    drop(other);
    // What was on its way when the session ended is accepted now, and known when it is read again.
    around.dispatch().release();
    proxy.set(Network::Pass);
    around.dispatch().wait_accepted(all).await;
    run.wait_state(TriggerState::Running).await;
    until_fact(&run, "paused", false).await;
    let all = topic.write(100);
    around.dispatch().wait_accepted(all).await;
    assert_eq!(
        run.status().facts.get("rebuilds"),
        Some(&FactValue::from(0_u64))
    );
    run.stop(STOP).await.unwrap();
    each_once(&around, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_ends_while_paused_is_joined_again() {
    in_both("a session that ends", 2, is_taken_up_again).await;
}
