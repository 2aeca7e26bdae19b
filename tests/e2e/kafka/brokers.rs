//! Brokers that die and come back.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::interval;
use tripline_tests::{Hub, KafkaNode, eventually_within};

use super::{
    PATIENCE, PROTOCOLS, all_once, config, ledger, produce, producer, topic, with_ledgers,
};

/// Between two records under load: the functions are to keep up on a slow machine.
const PACE: Duration = Duration::from_millis(50);

/// Produces one record after the other until told to stop, and gives how many there are.
fn load(bootstrap: &str, topic: &'static str) -> (oneshot::Sender<()>, JoinSet<usize>) {
    let producer = producer(bootstrap);
    let (stop, mut stopped) = oneshot::channel();
    let mut load = JoinSet::new();
    load.spawn(async move {
        let mut pace = interval(PACE);
        for next in 0.. {
            produce(&producer, topic, next..next + 1).await;
            tokio::select! {
                _ = pace.tick() => {}
                _ = &mut stopped => return next + 1,
            }
        }
        unreachable!("it counts for ever");
    });
    (stop, load)
}

/// Waits until more records run in each protocol.
async fn goes_on(hub: &Hub, what: &str) {
    for protocol in PROTOCOLS {
        let before = ledger(&[hub], protocol).len();
        let what = format!("records run, {protocol}, {what}");
        eventually_within(PATIENCE, &what, async || {
            (ledger(&[hub], protocol).len() >= before + 5).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_under_load_is_taken_up_again() {
    let Some(node) = KafkaNode::start("a broker restart under load") else {
        return;
    };
    topic(&node.bootstrap, "e2e-restart", 2, 1).await;
    let hub = with_ledgers(&config(&node.bootstrap, "e2e-restart")).await;
    let (stop, load) = load(&node.bootstrap, "e2e-restart");
    goes_on(&hub, "at first").await;
    node.run("kill");
    node.run("start");
    goes_on(&hub, "after a kill").await;
    stop.send(()).unwrap();
    all_once(&[&hub], load.join_all().await[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_three_brokers_is_not_felt() {
    let Some(nodes) = KafkaNode::start_cluster("a rolling restart", 3) else {
        return;
    };
    topic(&nodes.bootstrap, "e2e-rolling", 3, 3).await;
    let hub = with_ledgers(&config(&nodes.bootstrap, "e2e-rolling")).await;
    let (stop, load) = load(&nodes.bootstrap, "e2e-rolling");
    goes_on(&hub, "at first").await;
    // Each in turn; the groups' coordinator is one of them.
    for (node, end) in [(1, "stop"), (2, "kill"), (3, "stop")] {
        nodes.run_one(node, end);
        goes_on(&hub, &format!("without broker {node}")).await;
        nodes.run_one(node, "start");
    }
    goes_on(&hub, "in the end").await;
    stop.send(()).unwrap();
    all_once(&[&hub], load.join_all().await[0]).await;
}
