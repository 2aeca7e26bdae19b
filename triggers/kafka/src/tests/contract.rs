//! The contract that every kind keeps.

use std::sync::Arc;

use async_trait::async_trait;
use tripline_trigger::testkit::{Style, Subject, TestContext, contract};

use super::Hasty;
use super::brokers::{Brokers, Probe, numbers, probe};
use crate::KafkaTrigger;

const TOPIC: &str = "contract";

struct Kafka {
    brokers: Brokers,
    probe: Arc<Probe>,
}

#[async_trait]
impl Subject for Kafka {
    type Trigger = KafkaTrigger;

    fn style(&self) -> Style {
        Style::Pull
    }

    fn trigger(&self) -> Arc<KafkaTrigger> {
        Hasty::new(&self.brokers.servers, TOPIC).build()
    }

    async fn produce(&self, _around: &TestContext, count: usize) {
        self.probe.write(TOPIC, 2, numbers(0, count));
    }

    async fn settled(&self, _around: &TestContext) -> usize {
        usize::try_from(self.probe.committed(TOPIC, 2)).expect("few records")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_keeps_the_contract() {
    contract(|| async {
        let brokers = Brokers::start(1).with_topic(TOPIC, 2);
        let probe = probe(&brokers, TOPIC);
        Kafka { brokers, probe }
    })
    .await;
}
