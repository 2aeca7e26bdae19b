//! Runs functions.
//!
//! A [`Runtime`] knows one way to run a function and is asked once per invocation; an [`Instance`] is one run.
//! [`run_to_end`] takes a run from its start to its [`tripline_model::Ending`]: deadline, stop requests, the kill,
//! and the reclaim. [`ProcessRuntime`] starts a process for each invocation.

mod contract;
mod process;
mod run;
mod stop;

pub use contract::{Exit, Instance, Output, Runtime, Start, StartError};
pub use process::{EnvValue, ProcessRuntime, ProcessSpec, sweep_leftovers};
pub use run::run_to_end;
pub use stop::{Stop, StopSignal, Stopper, stop_channel};
