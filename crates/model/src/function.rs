//! What is run.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::FunctionName;

/// How a function is executed. Locked when the function is first known to a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Execution {
    /// The caller gets the RequestId at once and nothing else.
    Async,
    /// An HTTP caller waits for the result.
    Sync,
}

/// A function as the hub sees it. What to run belongs to its runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name, unique in the hub.
    pub name: FunctionName,
    /// Locked at creation.
    pub execution: Execution,
    /// Which kind of runtime runs it, such as `process`.
    pub runtime: &'static str,
    /// The longest run; then it ends as `timed_out`.
    pub timeout: Duration,
    /// Time between the request to stop and the kill.
    pub grace: Duration,
    /// Runs at the same time, at most.
    pub concurrency: NonZeroU32,
    /// Accepted events in any 1 s window, at most; `None` is as many as the hub takes.
    pub qps: Option<NonZeroU32>,
    /// Accepted invocations waiting for their start, at most.
    pub max_queued: u64,
    /// An invocation not started this long after its acceptance ends as `expired`.
    pub max_event_age: Duration,
    /// Bytes of the result that are kept.
    pub max_result_bytes: usize,
    /// Bytes of log that are kept for one invocation; each line counts for 48 more than its text.
    pub max_log_bytes: u64,
}

impl Execution {
    /// The word used in the config, the journal and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Sync => "sync",
        }
    }

    /// The mode that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Async, Self::Sync]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}
