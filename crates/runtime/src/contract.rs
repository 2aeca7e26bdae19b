//! What a runtime is, for those who ask for runs and those who write runtimes.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tripline_model::{Function, Invocation, LogStream, Timestamp};

/// One run that is asked for. Its start is already durable.
#[derive(Clone)]
pub struct Start {
    /// What is run, with the event and its data.
    pub invocation: Invocation,
    /// The function and its limits.
    pub function: Arc<Function>,
    /// When the run will be stopped, by wall time: told to the function. The stop itself runs on monotonic time.
    pub deadline: Timestamp,
    /// Where the lines go that the function writes.
    pub output: Arc<dyn Output>,
}

/// Takes what a run writes, line by line.
#[async_trait]
pub trait Output: Send + Sync + 'static {
    /// Takes lines without their line ends, in order. Waiting here holds the function back: nothing is lost.
    async fn lines(&self, stream: LogStream, lines: Vec<Bytes>);
}

/// One way to run functions.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// The word for it in the config, such as `process`.
    fn kind(&self) -> &'static str;

    /// Starts a run. Called once per RequestId, after its start is durable, and never again for it, whatever comes
    /// back. An error means that no function code ran.
    async fn start(&self, start: Start) -> Result<Box<dyn Instance>, StartError>;
}

/// One run. Dropping it ends the run at once.
#[async_trait]
pub trait Instance: Send + Sync {
    /// Asks the run politely to end.
    fn terminate(&self);

    /// Ends the run now.
    fn kill(&self);

    /// Waits until the run is over. The future may be dropped and asked for again.
    async fn wait(&mut self);

    /// Called once, after `wait`: ends what is left of the run, passes on what it wrote, and says how it was over.
    /// When this returns, nothing of the run is alive and its scratch directory is gone.
    async fn reclaim(&mut self) -> Exit;
}

/// How a run was over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// The exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// What it wrote to stdout, up to the function's `max_result_bytes`.
    pub result: Bytes,
    /// Whether it wrote more than that.
    pub result_cut: bool,
}

/// Why a run could not be started. No function code ran.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime has no function of this name.
    #[error("the runtime `{runtime}` has no function `{function}`")]
    UnknownFunction {
        /// The runtime's kind.
        runtime: &'static str,
        /// The function's name.
        function: String,
    },
    /// The function's program was not found, or is not executable.
    #[error("the program `{0}` was not found or is not executable")]
    NoProgram(String),
    /// Something of the command or the environment cannot be passed to a process.
    #[error("{0} cannot be passed to a process: it has a NUL byte or an empty or impossible name")]
    Unpassable(String),
    /// The scratch directory could not be made.
    #[error("the scratch directory could not be made: {0}")]
    Scratch(std::io::Error),
    /// The operating system refused to start the process.
    #[error("the process could not be started: {0}")]
    Spawn(std::io::Error),
}
