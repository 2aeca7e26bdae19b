//! What a trigger is.
//!
//! A [`TriggerKind`] checks a table of the config and makes [`Trigger`]s out of it. A trigger runs in a
//! [`TriggerContext`], the only part of the hub it can use: it offers events and gets receipts or refusals. The
//! [`Supervisor`] alone starts, restarts, pauses and stops triggers. `triggers/README.md` shows how to add a kind;
//! [`testkit`] has what its tests need.

mod auth;
mod context;
mod counting;
mod error;
mod kind;
mod registry;
mod status;
mod supervisor;
pub mod testkit;

pub use auth::Auth;
pub use context::{Ports, TriggerContext};
pub use error::TriggerError;
pub use kind::{AnyTrigger, Trigger, TriggerKind};
pub use registry::Registry;
pub use status::{FactValue, TriggerState, TriggerStatus};
pub use supervisor::{Supervised, Supervisor, Triggers, UnknownTrigger};
