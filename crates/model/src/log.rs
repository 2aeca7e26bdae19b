//! Lines of a function's log.

use bytes::Bytes;

use crate::{RequestId, Timestamp};

/// Which stream a log line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// The function's standard output.
    Stdout,
    /// The function's standard error.
    Stderr,
    /// The hub's own remark about the run.
    System,
}

/// One line of an invocation's log: bytes as written, without the line end; not necessarily UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose log.
    pub request_id: RequestId,
    /// Position in that log, from 1, without holes.
    pub seq: u64,
    /// When the hub read it.
    pub at: Timestamp,
    /// Where it was written.
    pub stream: LogStream,
    /// What was written.
    pub text: Bytes,
    /// Whether the function ended the line here; otherwise the next line of this stream may go on with it.
    pub complete: bool,
}

impl LogStream {
    /// The word used in the API and the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::System => "system",
        }
    }
}
