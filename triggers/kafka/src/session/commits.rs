//! Offsets follow receipts: librdkafka commits what is stored with it, and only what the hub has settled is stored.
//!
//! librdkafka commits stored offsets at an interval and before it lets go of a partition, and commits none for an
//! assignment that is lost. (Commits by hand would have no result: this client library reads events, and librdkafka
//! makes none for them.)

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::Instant;

use super::{Client, Session, add};

/// One wait for the hub.
const TURN: Duration = Duration::from_millis(50);

// === impl Session ===

impl Session {
    /// The brokers answered a commit. One that failed is made again with the next.
    pub(crate) fn committed(&self, result: KafkaResult<()>) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(Code::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(trigger = %self.setup.cx.name(), %error, "offsets were not committed");
            }
        }
    }

    /// Stores how far records are safe: exactly the next offset, once for each.
    pub(super) fn store(&mut self, consumer: &Client) {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), assigned) in &mut self.partitions {
            if assigned.stored.is_none_or(|stored| stored < assigned.next) {
                add(&mut list, topic, *partition, assigned.next);
                assigned.stored = Some(assigned.next);
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = consumer.store_offsets(&list) {
            // Of a partition that is being taken away. The journal's watermark knows better anyway.
            tracing::debug!(trigger = %self.setup.cx.name(), %error, "offsets were not stored");
        }
    }

    /// Waits for receipts of what was handed over, but not long, and stores what they settle.
    pub(super) fn settle(&mut self, consumer: &Client) {
        let until = Instant::now() + self.setup.pacing.settle_within;
        while self.outstanding > 0 && Instant::now() < until {
            self.wait_for_hub(TURN);
        }
        self.store(consumer);
    }

    /// The last thing before the consumer is closed: from now on there are no more calls to the hub.
    pub(crate) fn close(&mut self, consumer: &Client) {
        self.settle(consumer);
        self.is_closing = true;
        self.end_lag();
    }
}
