//! Why a job could not go on: one type, since every failure here ends as one printed line.

use std::fmt;
use std::io;
use std::path::Path;

use nix::sys::signal::Signal;

/// What every fallible function here returns.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// Why a job ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The person or CI asked us to stop.
    Interrupted(Signal),
    /// Anything else, as one readable sentence with its coordinates.
    Message(String),
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self::Message(message.to_string())
    }

    /// An I/O error with the file it is about.
    pub(crate) fn file(verb: &str, path: &Path, error: io::Error) -> Self {
        Self::Message(format!("cannot {verb} {}: {error}", path.display()))
    }
}

impl From<nix::Error> for Failure {
    fn from(error: nix::Error) -> Self {
        Self::Message(format!("system call failed: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted(signal) => write!(f, "stopped by {signal}"),
            Self::Message(message) => f.write_str(message),
        }
    }
}
