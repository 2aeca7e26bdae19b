//! Runs functions: the [`Runtime`] trait, and its kinds `process`, `worker` and `http`.
//!
//! A [`Runtime`] knows one way to run a function and is asked once per invocation: it takes the run from its start to
//! its [`tripline_model::Ending`], deadline and stop requests included. Processes belong to the executor, which
//! outlives the hub: `process` and `worker` ask it to run them, and nothing is spawned in here.

mod attributes;
mod contract;
mod credentials;
mod format;
mod http;
mod process;
mod remote;
mod stop;
#[cfg(test)]
mod tests;
mod worker;

pub use contract::{HeldInvocation, Output, Runtime, Start};
pub use credentials::CredentialProvider;
pub use format::{EventFormat, render};
pub use http::{HttpRuntime, HttpTarget, HttpTargetError};
pub use remote::{ExecutorRuntime, Remote};
pub use stop::{Stop, StopSignal, Stopper, stop_channel};
pub use tripline_executor::client::NumberedLine;
