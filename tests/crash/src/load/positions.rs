//! Somebody who looks at what the hub's group has committed at the broker, all the time.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::Pace;
use crate::history::History;
use crate::world::{PARTITIONS, now};

const EVERY: Duration = Duration::from_millis(100);

/// How long the broker may take to say it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for the positions of one group in one topic, both called `name`, and is no member of it.
pub(super) struct Onlooker {
    consumer: Arc<BaseConsumer>,
    name: String,
}

// === impl Onlooker ===

impl Onlooker {
    pub(super) fn new(broker: &str, name: &str) -> Self {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", broker)
            .set("group.id", name)
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer can be made");
        Self {
            consumer: Arc::new(consumer),
            name: name.to_owned(),
        }
    }

    pub(super) async fn look(self, history: History, stop: CancellationToken) {
        let mut pace = Pace::new(EVERY, stop);
        while pace.next().await {
            let mut asked = TopicPartitionList::new();
            asked.add_partition_range(&self.name, 0, PARTITIONS - 1);
            let consumer = self.consumer.clone();
            let committed =
                spawn_blocking(move || consumer.committed_offsets(asked, PATIENCE)).await;
            // A broker that is busy with the group says nothing for once.
            let Ok(Ok(committed)) = committed else {
                continue;
            };
            let at = now().as_millis();
            for place in committed.elements() {
                if let Offset::Offset(next) = place.offset() {
                    history.committed(place.partition(), next, at);
                }
            }
        }
    }
}
