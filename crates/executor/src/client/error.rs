//! What can go wrong between hub and executor, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::{FrameError, Refusal, VERSIONS};

/// Why something could not be done with an executor. From [`Client::start`](super::Client::start) it means that no
/// function code ran.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A folder of executors cannot be used.
    #[error("{}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The two have no common version.
    #[error(
        "the executor {id} (process {pid}, release {}) speaks versions {} to {} of the executor protocol, this hub \
         (release {release}) speaks {} to {}: {}; start a hub of a release that speaks both, or wait until its \
         invocations have ended (how many they are cannot be asked), or kill process {pid}: its invocations become lost",
        refusal.release, refusal.versions.from, refusal.versions.to, VERSIONS.from, VERSIONS.to, refusal.why
    )]
    Refused {
        /// The executor.
        id: String,
        /// Its process.
        pid: i32,
        /// This hub's build.
        release: String,
        /// The executor's refusal.
        refusal: Box<Refusal>,
    },
    /// It is alive but does not answer.
    #[error(
        "the executor {id} (process {pid}) is alive but did not answer within {} s; wait, or kill process {pid}: its \
         invocations become lost",
        waited.as_secs()
    )]
    Silent {
        /// The executor.
        id: String,
        /// Its process, as far as it is known.
        pid: String,
        /// How long it had.
        waited: Duration,
    },
    /// Its socket cannot be connected to.
    #[error("the executor {id} cannot be reached: {source}")]
    Unreachable {
        /// The executor.
        id: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody else listens at its socket.
    #[error("the socket of executor {id} belongs to user {uid}, not to the hub's user")]
    WrongUser {
        /// The executor.
        id: String,
        /// Whose it is.
        uid: u32,
    },
    /// It does not keep to the protocol.
    #[error("the executor {id} broke the protocol: {why}")]
    Protocol {
        /// The executor.
        id: String,
        /// What it did.
        why: String,
    },
    /// The connection ended.
    #[error("the executor {id}: {source}")]
    Broken {
        /// The executor.
        id: String,
        /// How.
        source: FrameError,
    },
    /// Its program cannot be run.
    #[error("the executor cannot be started from {}: {source}", program.display())]
    Program {
        /// What was to be run.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It was started and never answered.
    #[error("the executor was started but {why}; the end of its log: {log}")]
    NotReady {
        /// What happened instead.
        why: String,
        /// Its last lines.
        log: String,
    },
    /// There was none to start a run within the time for it.
    #[error("no executor took the run within {} s ({why})", waited.as_secs())]
    NoExecutor {
        /// How long was waited.
        waited: Duration,
        /// The last that was heard.
        why: String,
    },
    /// The start of a run cannot be sent.
    #[error("the run {run} cannot be started: {why}")]
    Unsayable {
        /// Its RequestId.
        run: String,
        /// Why.
        why: String,
    },
    /// The hub is letting go of its executors.
    #[error("the hub is ending")]
    Closed,
}

// === impl ClientError ===

impl ClientError {
    /// Whether it may be gone at another try: the executor is just starting or ending, or has many connections waiting.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Silent { .. }
        )
    }
}
