//! The trigger against a real broker: `TRIPLINE_TEST_KAFKA`, `TRIPLINE_TEST_KAFKA_SASL` for its SASL/PLAIN listener
//! (user `alice`, password `alice-secret`), and `TRIPLINE_TEST_KAFKA_PROXIED` for those that lead through a proxy.

mod group;
mod login;
mod network;
mod records;
mod topic;
mod topics;

use tokio::task::JoinSet;
use tripline_skipped::skipped;
use tripline_trigger::testkit::{ChaosProxy, TestContext};

use super::brokers::numbers;
use super::{STOP, all_values, until};
use crate::config::GroupProtocol;
use topic::Topic;

/// The broker's address, or a note that there is none.
fn broker(test: &str, variable: &str) -> Option<String> {
    let servers = std::env::var(variable)
        .ok()
        .filter(|servers| !servers.is_empty());
    if servers.is_none() {
        skipped(test, &format!("{variable} names no broker"));
    }
    servers
}

/// Runs a case in both group protocols at the same time, each with a topic of its own.
async fn in_both<F>(test: &str, partitions: i32, case: impl Fn(Topic) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(servers) = broker(test, "TRIPLINE_TEST_KAFKA") else {
        return;
    };
    let mut cases = JoinSet::new();
    for protocol in GroupProtocol::ALL {
        let topic = Topic::make(&servers, partitions, protocol).await;
        cases.spawn(case(topic));
    }
    cases.join_all().await;
}

/// A proxy that the broker sends clients to. There are few: one that is in use is waited for.
async fn proxy() -> ChaosProxy {
    let known = std::env::var("TRIPLINE_TEST_KAFKA_PROXIED").expect("comes with the broker");
    let pairs: Vec<_> = known
        .split(',')
        .map(|pair| {
            let (advertised, listening) = pair.split_once('=').expect("a pair");
            let address = |text: &str| text.parse().expect("an address");
            (address(advertised), address(listening))
        })
        .collect();
    until("a proxied listener is free", || {
        let mut pairs = pairs.iter();
        pairs.find_map(|(here, there)| ChaosProxy::start_at(*here, *there).ok())
    })
    .await
}

/// Waits until so many records are accepted, and checks that they are those that were written, each once.
async fn each_once(around: &TestContext, count: usize) {
    around.dispatch().wait_accepted(count).await;
    let mut values = all_values(around);
    // Behind the number is padding.
    values.iter_mut().for_each(|value| value.truncate(6));
    let expected: Vec<String> = numbers(0, count).collect();
    if values != expected {
        let pairs = values.windows(2);
        let twice: Vec<_> = pairs.filter(|pair| pair[0] == pair[1]).collect();
        let missed: Vec<_> = expected
            .iter()
            .filter(|one| !values.contains(one))
            .collect();
        panic!("not each record once: {missed:?} missed, {twice:?} twice");
    }
}
