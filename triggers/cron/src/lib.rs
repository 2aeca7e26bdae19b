//! The cron trigger: offers an event at each instant of a schedule, in a time zone, and knows what was missed.
//!
//! [`CronKind`] is all there is to use. `README.md` beside this crate says what the config takes and what is promised.

mod base;
mod bell;
mod config;
mod event;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod heartbeat;
mod planner;
mod run;
mod schedule;

use std::sync::Arc;

use tripline_config::Table;
use tripline_model::TriggerName;
use tripline_trigger::TriggerKind;

use heartbeat::Heartbeat;

pub use run::CronTrigger;

/// `kind = "cron"`. All triggers that one value builds share one sleep and one scheduler job; nothing runs until
/// one of them does.
#[derive(Default)]
pub struct CronKind {
    heartbeat: Arc<Heartbeat>,
}

impl TriggerKind for CronKind {
    const NAME: &'static str = "cron";

    type Trigger = CronTrigger;

    fn build(&self, _name: &TriggerName, table: &mut Table<'_>) -> Option<CronTrigger> {
        let config = config::Config::read(table)?;
        Some(CronTrigger::new(config, Arc::clone(&self.heartbeat)))
    }
}
