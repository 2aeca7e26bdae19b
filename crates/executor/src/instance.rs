//! What a run is inside the executor: the contract between the server, which watches over it, and those who start it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tripline_model::{LogStream, RequestId};

use crate::protocol::{Credentials, FunctionSpec, Start};

/// How long a start may take once its run has to end: then it is waited for outside of the run.
pub(crate) const HUNG_START_TIMEOUT: Duration = Duration::from_secs(5);

/// A run that is to be started.
pub(crate) struct Job {
    pub(crate) id: RequestId,
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) start: Start,
    /// The event.
    pub(crate) data: Bytes,
    /// Where its output goes.
    pub(crate) output: Arc<dyn Output>,
}

/// Takes what a run writes.
#[async_trait]
pub(crate) trait Output: Send + Sync + 'static {
    /// Takes lines in order. Waiting here holds the function back.
    async fn lines(&self, stream: LogStream, lines: Vec<Line>);

    /// Says in the log that what follows is missing, and why, unless the log says so already.
    fn cut(&self, why: &str);

    /// Whether more lines would be kept. If not, what is written need not even be cut into lines.
    fn takes_more(&self) -> bool {
        true
    }
}

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: Bytes,
    /// Whether the function ended the line; otherwise more of it may follow.
    pub(crate) complete: bool,
}

/// Starts runs of one kind.
#[async_trait]
pub(crate) trait Starter: Send + Sync + 'static {
    /// Starts a run. Called once for a run. An error means that no function code ran for it. This may hang, on a dead
    /// mount say: then the run can be over before, and its instance is ended as soon as it is there. The future is not
    /// dropped before its end, unless the executor ends.
    async fn start(&self, job: Job) -> Result<Box<dyn Instance>, StartError>;

    /// Whether function code may see the event before `start` is over.
    fn start_shows_event(&self) -> bool {
        true
    }
}

/// One run. Dropping it ends the run at once.
#[async_trait]
pub(crate) trait Instance: Send {
    /// Asks the run to end by itself: SIGTERM.
    fn request_stop(&self);

    /// Kills the run.
    fn kill(&self);

    /// Hands new credentials of the function's role to the run.
    fn renew(&self, credentials: &Credentials) -> std::io::Result<()>;

    /// Waits until the run is over. The future may be dropped and asked for again.
    async fn wait(&mut self);

    /// Called once, after `wait`: ends what is left of the run within a bounded time, passes on what it wrote, removes
    /// its scratch directory, and returns how it ended. After success a warm instance goes back to its pool instead.
    async fn reclaim(&mut self) -> Exit;
}

/// How a run ended.
pub(crate) struct Exit {
    pub(crate) how: How,
    /// The result, up to `max_result_bytes`.
    pub(crate) result: Bytes,
    pub(crate) result_cut: bool,
    /// In bytes, where that is known.
    pub(crate) peak_memory: Option<u64>,
    /// What could not be ended: it is waited for outside, and keeps the run's slot.
    pub(crate) remains: Option<Box<dyn Remains>>,
}

/// Processes that did not go away when they were killed.
#[async_trait]
pub(crate) trait Remains: Send {
    /// Waits until all are gone, killing again now and then, and cleans up after them.
    async fn gone(&mut self);
}

/// In which way a run ended, by itself or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// The process ended: with a code, 0 is well.
    Exited(i32),
    /// A signal ended the process.
    Signaled(i32),
    /// It used more memory than it may.
    MemoryLimit,
    /// Its scratch directory held more than it may.
    ScratchLimit,
    /// It was killed at its start: it could not be put within bounds that it requires, and this is why.
    Unbounded(String),
    /// A worker answered.
    Answered,
    /// A worker reported an error of the function.
    Reported {
        /// The error's type in the function's words.
        kind: String,
        /// Its message.
        message: String,
    },
    /// A worker ended, by code or signal, without an answer.
    Crashed {
        code: Option<i32>,
        signal: Option<i32>,
    },
    /// No worker took the event: none got ready, said so, ended or took too long, or the run was stopped before that.
    /// Function code may have run, but never for this event.
    NotReady {
        reason: &'static str,
        detail: String,
    },
    /// The answer is larger than it may be.
    ResultTooLarge,
}

impl How {
    /// The limit that was passed or could not be set, in a sentence, if that was it.
    pub(crate) fn limit(&self) -> Option<String> {
        match self {
            Self::MemoryLimit => Some("it used more memory than its limit".to_owned()),
            Self::ScratchLimit => Some("its scratch directory held more than its limit".to_owned()),
            Self::Unbounded(why) => Some(format!(
                "`isolation = \"required\"`, but it could not be put within its bounds: {why}"
            )),
            _ => None,
        }
    }
}

/// Why a run could not be started. No function code ran.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The function's program was not found, or is not executable.
    #[error("the program `{0}` was not found or is not executable")]
    NoProgram(String),
    /// Something of the command or the environment cannot be passed to a process.
    #[error("{0} cannot be passed to a process: it has a NUL byte or an empty or impossible name")]
    Unpassable(String),
    /// The user is not known here.
    #[error("there is no user `{0}`")]
    NoUser(String),
    /// Only root may start processes of other users, and not everywhere.
    #[error("processes of the user `{user}` cannot be started: {why}")]
    NotAsUser {
        /// The user's name.
        user: String,
        /// What is missing, or what failed.
        why: String,
    },
    /// The machine cannot enforce what the function requires.
    #[error("`isolation = \"required\"`, but {0}")]
    NotIsolated(String),
    /// The scratch directory could not be made.
    #[error("the scratch directory could not be made: {0}")]
    Scratch(std::io::Error),
    /// The operating system refused to start the process.
    #[error("the process could not be started: {0}")]
    Spawn(std::io::Error),
}
