//! The HTTP trigger: a route of the gateway whose requests become events.
//!
//! [`HttpKind`] is all there is to use. `README.md` beside this crate says what the config takes and what callers get.

mod answer;
mod cloudevents;
mod config;
mod event;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod key;
mod run;

use tripline_config::Table;
use tripline_model::TriggerName;
use tripline_trigger::TriggerKind;

pub use run::HttpTrigger;

/// `kind = "http"`.
#[derive(Debug, Default, Clone, Copy)]
pub struct HttpKind;

impl TriggerKind for HttpKind {
    const NAME: &'static str = "http";

    type Trigger = HttpTrigger;

    fn build(&self, _name: &TriggerName, table: &mut Table<'_>) -> Option<HttpTrigger> {
        config::Config::read(table).map(HttpTrigger::new)
    }
}
