//! The Kafka trigger: records of topics become events, and offsets follow receipts.
//!
//! A thread of its own polls the consumer (`consumer`), keeps the books on it (`session`) and hands records over to the
//! hub in order (`batch`, `offering`). The hub's watermark of each partition says what was accepted; the group's
//! committed offset only follows it. Where reading begins is decided in `positions`.

mod batch;
mod client;
mod cloudevent;
mod config;
mod consumer;
mod context;
mod event;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod health;
mod offering;
mod pacing;
mod positions;
mod probe;
mod properties;
mod reader;
mod run;
mod session;

use std::sync::Arc;

use tripline_config::Table;
use tripline_model::TriggerName;
use tripline_trigger::TriggerKind;

pub use run::KafkaTrigger;

/// `kind = "kafka"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct KafkaKind;

// === impl KafkaKind ===

impl TriggerKind for KafkaKind {
    const NAME: &'static str = "kafka";

    type Trigger = KafkaTrigger;

    fn build(&self, _name: &TriggerName, table: &mut Table<'_>) -> Option<KafkaTrigger> {
        let config = Arc::new(config::Config::read(table)?);
        Some(KafkaTrigger {
            config,
            pacing: pacing::Pacing::default(),
        })
    }
}

#[cfg(test)]
mod tests;
