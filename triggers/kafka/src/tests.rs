//! The trigger against librdkafka's own mock brokers, and against a real one where there is one.

mod brokers;
mod contract;
mod delivery;
mod faults;
mod figures;
pub(crate) mod mutants;
mod real;
mod rebalance;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tripline_model::{Offer, RequestId};
use tripline_trigger::FactValue;
use tripline_trigger::testkit::{PATIENCE, Run, TestContext};

use crate::KafkaTrigger;
use crate::config::{Config, GroupProtocol, NullValue, Reset, Setting};
use crate::pacing::Pacing;
use crate::properties::misplaced;

/// What the hub gives its triggers to stop, before it cuts them off. While brokers are silent a stop may take nearly as
/// long, as the README says; that one takes 5 s otherwise is in the contract suite.
const STOP: Duration = Duration::from_secs(10);

/// A trigger in a hurry, from the beginning of `topic`.
struct Hasty {
    config: Config,
    pacing: Pacing,
}

impl Hasty {
    fn new(servers: &str, topic: &str) -> Self {
        let config = Config {
            topics: vec![topic.to_owned()],
            group_id: Some(format!("group-of-{topic}")),
            protocol: GroupProtocol::Classic,
            reset: Reset::Earliest,
            null_value: NullValue::Deliver,
            stall_after: Duration::from_secs(300),
            properties: Vec::new(),
        };
        let pacing = Pacing {
            commit_every: Duration::from_millis(50),
            measure_every: Duration::from_secs(1),
            pause_after: Duration::from_millis(100),
            plan_again_after: Duration::from_millis(200),
            ask_for_topics_every: Duration::from_millis(500),
            rebuild_after: Duration::from_millis(100),
            ..Pacing::default()
        };
        Self { config, pacing }
            .with("bootstrap.servers", servers)
            .with("reconnect.backoff.max.ms", "500")
            .with("topic.metadata.refresh.interval.ms", "1000")
            // The mock brokers wait as long as a session when a group that became empty is joined again.
            .with("session.timeout.ms", "3000")
            .with("heartbeat.interval.ms", "200")
    }

    /// The same in that group protocol.
    fn speaking(mut self, protocol: GroupProtocol) -> Self {
        self.config.protocol = protocol;
        let properties = &mut self.config.properties;
        properties.retain(|(name, _)| misplaced(name, protocol).is_none());
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let setting = Setting::Text(value.to_owned());
        self.config.properties.push((name.to_owned(), setting));
        self
    }

    fn build(self) -> Arc<KafkaTrigger> {
        Arc::new(KafkaTrigger {
            config: Arc::new(self.config),
            pacing: self.pacing,
        })
    }
}

/// Waits until `there` gives something.
async fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn until_fact(run: &Run, name: &str, value: impl Into<FactValue>) {
    let value = value.into();
    let what = format!("the fact {name} is {value:?}");
    until(&what, || {
        (run.status().facts.get(name) == Some(&value)).then_some(())
    })
    .await;
}

/// The values of accepted records by partition, in the order of their acceptance.
fn values(accepted: &[(RequestId, Offer)]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, offer) in accepted {
        let data = offer.event.data.clone().unwrap_or_default();
        let value = String::from_utf8(data.to_vec()).expect("the test wrote text");
        let partition = offer.event.extensions["kafkapartition"].clone();
        found.entry(partition).or_default().push(value);
    }
    found
}

/// The whole of what is accepted, sorted.
fn all_values(around: &TestContext) -> Vec<String> {
    let mut all: Vec<String> = values(&around.dispatch().accepted())
        .into_values()
        .flatten()
        .collect();
    all.sort();
    all
}
