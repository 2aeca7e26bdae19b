//! What a runtime is, for those who ask for runs and those who write runtimes.

use std::sync::Arc;

use async_trait::async_trait;
use tripline_executor::client::NumberedLine;
use tripline_model::{End, Ending, Function, FunctionName, Invocation, RequestId, Timestamp};

use crate::StopSignal;

/// One run that is asked for. Its start is already durable.
#[derive(Clone)]
pub struct Start {
    /// What is run, with the event and its data.
    pub invocation: Invocation,
    /// The function and its limits.
    pub function: Arc<Function>,
    /// When the run will be stopped, by wall time: passed to the function. The stop itself runs on monotonic time.
    pub deadline: Timestamp,
    /// Where the lines go that the function writes.
    pub output: Arc<dyn Output>,
}

/// A run of an earlier life of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldInvocation {
    /// Which run.
    pub request_id: RequestId,
    /// Its function.
    pub function: FunctionName,
    /// Whether it is over, and only its end is still to come.
    pub ended: bool,
}

/// Takes what a run writes, line by line.
#[async_trait]
pub trait Output: Send + Sync + 'static {
    /// Takes lines in the order of their numbers. One whose number is not above the last that was taken is dropped: it
    /// was taken before. Waiting here holds the function back: nothing is lost.
    async fn lines(&self, lines: Vec<NumberedLine>);

    /// Waits until everything that was taken is kept: a crash of the hub cannot take it away any more. An output that
    /// keeps what it takes at once has nothing to wait for.
    async fn kept(&self) {}

    /// The last number that was kept, also by an earlier life of the hub; 0 for none.
    async fn last_number(&self) -> u64;
}

/// One way to run functions.
///
/// Dropping the future of `run` or `resume` ends the run at once, except in a runtime that outlives the hub: there
/// the run goes on, and the next life of the hub finds it among those that are held.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// The word for it in the config, such as `process`.
    fn kind(&self) -> &'static str;

    /// Runs one invocation to its end and returns how it ended. Called once per RequestId, after its start is durable,
    /// and never again for it. Every line that it wrote was given to the output before.
    ///
    /// At the deadline the run is asked to stop, gets the function's grace, and is then killed: `timed_out` whatever
    /// it answers. After a [`crate::Stop::Kill`] it ends as `terminated`, unless it had ended well by itself; after a
    /// [`crate::Stop::Graceful`] it may still end well.
    async fn run(&self, start: Start, stop: StopSignal) -> Ending;

    /// Runs of earlier lives of the hub that it still has.
    fn held(&self) -> Vec<HeldInvocation> {
        Vec::new()
    }

    /// As `run`, for a run that is held: takes it where it is, and begins nothing. One that is not there (any more) is
    /// lost.
    async fn resume(&self, start: Start, _stop: StopSignal) -> Ending {
        let invocation = start.invocation;
        let began = invocation.started_at.unwrap_or(invocation.accepted_at);
        Ending::new(End::Lost, began, "hub_restarted")
    }

    /// The hub is done with the run, whose end is durable, or which it does not know. Kills what is left of it, waits
    /// until nothing of it is alive, and forgets it.
    async fn reclaim(&self, _request_id: RequestId) {}

    /// Whether its runs go on when the hub stops.
    fn outlives_hub(&self) -> bool {
        false
    }
}
