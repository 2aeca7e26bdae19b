//! librdkafka's callbacks. All of them run inside `poll`, on the consumer's own thread.

use std::sync::{Mutex, MutexGuard};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{TopicPartitionList, util::Timeout};
use tripline_model::lock;

use crate::positions::topic_id_in_log;
use crate::session::Session;

/// Hands callbacks to the session.
pub(crate) struct Callbacks(Mutex<Session>);

// === impl Callbacks ===

impl Callbacks {
    pub(crate) fn new(session: Session) -> Self {
        Self(Mutex::new(session))
    }

    /// The session. Never held across `poll`, whose callbacks need it.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        lock(&self.0)
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        if let Some((topic, id)) = topic_id_in_log(line) {
            self.session().learn_topic_id(topic, id);
        }
        let line = self.session().redacted(line);
        match level {
            RDKafkaLogLevel::Debug => tracing::trace!(facility, "librdkafka: {line}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(facility, "librdkafka: {line}");
            }
            // What matters of these comes as an error, too, and becomes the trigger's state.
            _ => tracing::info!(facility, "librdkafka: {line}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.session().measured(&statistics);
    }

    fn error(&self, error: KafkaError, words: &str) {
        self.session().complained(&error, words);
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.session().assigned(consumer, partitions);
            }
            _ => self.session().revoked(consumer, partitions),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.session().committed(result);
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(std::time::Duration::from_millis(100))
    }
}
