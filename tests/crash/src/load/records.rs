//! A producer of records.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio_util::sync::CancellationToken;

use super::Pace;
use crate::history::History;
use crate::payload;

const EVERY: Duration = Duration::from_millis(120);

/// Writes to one topic.
pub(super) struct Producer {
    producer: FutureProducer,
    topic: String,
    prefix: &'static str,
}

// === impl Producer ===

impl Producer {
    pub(super) fn new(broker: &str, topic: &str, prefix: &'static str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker)
            .set("enable.idempotence", "true")
            .create()
            .expect("a producer can be made");
        Self {
            producer,
            topic: topic.to_owned(),
            prefix,
        }
    }

    pub(super) async fn produce(self, history: History, stop: CancellationToken) {
        let mut pace = Pace::new(EVERY, stop);
        for n in 0_usize.. {
            if !pace.next().await {
                return;
            }
            let mark = format!("{}record-{n}", self.prefix);
            history.lock().records.insert(mark.clone(), false);
            let payload = payload::of(&mark);
            let record = FutureRecord::to(&self.topic).key(&mark).payload(&payload);
            let sent = self.producer.send(record, Duration::from_secs(10)).await;
            if sent.is_ok() {
                history.lock().records.insert(mark, true);
            }
        }
    }
}
