//! The trigger kind `s3`: fires when an object is created (or something else happens to one) in an S3-compatible
//! store.
//!
//! Notifications come as MinIO's Listen stream or as webhooks, or not at all; in every mode the bucket is listed as
//! well and compared with an inventory kept in the journal, so that what had no notification is found. The README
//! says when two sightings are the same occurrence, server by server.

mod backlog;
mod client;
mod config;
mod dialect;
mod event;
mod failure;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod health;
mod identity;
mod intake;
mod inventory;
mod keylocks;
mod listed;
mod listen;
mod names;
mod reconcile;
mod record;
mod run;
mod tally;
mod webhook;

use tripline_config::Table;
use tripline_model::TriggerName;
use tripline_trigger::TriggerKind;

pub use run::S3Trigger;

/// `kind = "s3"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct S3Kind;

// === impl S3Kind ===

impl TriggerKind for S3Kind {
    const NAME: &'static str = "s3";

    type Trigger = S3Trigger;

    fn build(&self, _name: &TriggerName, table: &mut Table<'_>) -> Option<S3Trigger> {
        config::Config::read(table).map(S3Trigger::new)
    }
}

#[cfg(test)]
mod tests;
