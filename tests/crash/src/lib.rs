//! The real hub, killed under load from all four triggers, again and again; then a checker that reads only what the
//! clients were told, what the functions wrote themselves, and what the hub answers when it has come to rest.

mod binary;
mod campaign;
mod check;
mod dice;
mod facts;
mod groups;
mod history;
mod ledger;
mod load;
mod moment;
mod payload;
mod report;
mod secrets;
mod steps;
mod strike;
mod tracer;
mod world;

pub use binary::binary;
pub use campaign::{Plan, campaign};
pub use report::Report;
pub use steps::{Steps, steps};
