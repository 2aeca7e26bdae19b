//! The executor: a small process that owns function processes, so that a hub can be killed, restarted or replaced while
//! they go on; and the hub's client for it.
//!
//! The two use [`protocol`] over a unix socket in the data directory. The executor knows nothing of triggers, the
//! journal or the API, and holds no secret but what a function's own environment has.

pub mod client;
pub mod protocol;
pub mod server;

mod instance;
mod isolation;
mod key;
mod process;
#[cfg(test)]
mod tests;
mod worker;

pub use isolation::{Cgroup, Level, Missing, level};
pub use process::{check_user, close_inherited_descriptors, leave_session};
