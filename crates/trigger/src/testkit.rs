//! What tests of a kind need: a hub that records what it is offered, a context to run in, and the contract that every
//! kind keeps.
//!
//! A test of one trigger: make a [`TestContext`], start the trigger with [`TestContext::run`], let its source produce
//! something, and look at what [`RecordingDispatch`] was offered. The contract: implement [`Subject`] for the kind and
//! call [`contract`]. [`ChaosProxy`] is a bad network between a trigger and its source. Helpers here panic with a
//! sentence when something does not happen within its time: they are for tests only.

mod context;
mod contract;
mod cursors;
mod ledger;
mod proxy;
mod recording;

pub use context::{Run, TestContext, test_function};
pub use contract::{Style, Subject, contract, offers_what_it_gets, settles_only_receipts};
pub use contract::{stops_in_time, survives_passing_refusals};
pub use cursors::MemoryCursors;
pub use proxy::{ChaosProxy, Direction, Network};
pub use recording::RecordingDispatch;

use std::time::Duration;

/// How long helpers wait for something that should happen at once. Generous, for slow machines: a test that passes
/// does not wait for it.
pub const PATIENCE: Duration = Duration::from_secs(20);
