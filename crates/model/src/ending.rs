//! How an invocation ended.

use bytes::Bytes;

use crate::{End, Timestamp};

/// How, when and why an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub end: End,
    /// When.
    pub at: Timestamp,
    /// A word for machines, such as `exit_code`, `signal`, `timeout`, `memory_limit`, `hub_restarted`.
    pub reason: String,
    /// One sentence for people; may quote the system's words, never a secret.
    pub detail: Option<String>,
    /// The exit code, where the process had one.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// How long it ran, in milliseconds, where that is known.
    pub duration_ms: Option<u64>,
    /// The most memory it used at the same time, in bytes, where that is known.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes of memory that it could use, where that was bounded.
    pub memory_limit_bytes: Option<u64>,
    /// What the function answered, cut at the function's `max_result_bytes`.
    pub result: Option<Bytes>,
    /// Whether the result was cut.
    pub result_cut: bool,
}

/// The reason of a run that was stopped, or whose time was over, before function code saw the event.
pub const NOT_STARTED: &str = "not_started";

/// The reason of a run whose request went out and whose answer never came, whatever ended the waiting.
pub const NO_ANSWER: &str = "no_answer";

/// The reason of a run that was stopped, or whose time was over, while its start hung: nobody knows whether function
/// code saw the event.
pub const MAYBE_STARTED: &str = "maybe_started";

/// The reason of what was open in an old copy of a journal: it may have run where the original went on.
pub const OLD_COPY: &str = "old_copy";

/// The reason of what was changed on the disk while it waited: nobody knows any more what the event was.
pub const DAMAGED: &str = "damaged";

// === impl Ending ===

impl Ending {
    /// An end with a reason and nothing else.
    pub fn new(end: End, at: Timestamp, reason: impl Into<String>) -> Self {
        Self {
            end,
            at,
            reason: reason.into(),
            detail: None,
            exit_code: None,
            signal: None,
            duration_ms: None,
            peak_memory_bytes: None,
            memory_limit_bytes: None,
            result: None,
            result_cut: false,
        }
    }

    /// The same end with a sentence for people.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The status code of Tencent SCF that describes this end best.
    pub fn status_code(&self) -> u16 {
        match self.end {
            End::Succeeded => 200,
            End::TimedOut => 433,
            End::Terminated | End::Cancelled => 499,
            End::Lost => 500,
            End::Expired => 432,
            End::Failed => match self.reason.as_str() {
                "exit_code" | "signal" | "crashed" | "scratch_limit" | "not_isolated" => 439,
                "memory_limit" => 434,
                "init_failed" => 445,
                "init_timeout" => 450,
                "result_too_large" => 407,
                "start_failed" | "refused_address" => 405,
                // `reported`, and whatever else a function says of itself: user code that failed.
                _ => 430,
            },
        }
    }

    /// Whether function code ran for this event: `None` is "nobody knows".
    pub fn ran(&self) -> Option<bool> {
        match (self.end, self.reason.as_str()) {
            (End::Failed, "start_failed" | "init_failed" | "init_timeout")
            | (End::Terminated | End::TimedOut, NOT_STARTED) => Some(false),
            (End::Terminated | End::TimedOut, MAYBE_STARTED | NO_ANSWER) => None,
            // Somebody answered who should not have been asked.
            (End::Failed, "refused_address") => None,
            (End::Cancelled, OLD_COPY) => None,
            (end, _) => end.ran(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends, reasons, and what they mean: the status code and whether function code ran.
    const TABLE: [(End, &str, u16, Option<bool>); 30] = [
        (End::Succeeded, "exit_code", 200, Some(true)),
        (End::Succeeded, "answered", 200, Some(true)),
        (End::Failed, "exit_code", 439, Some(true)),
        (End::Failed, "signal", 439, Some(true)),
        (End::Failed, "crashed", 439, Some(true)),
        (End::Failed, "reported", 430, Some(true)),
        (End::Failed, "http_status", 430, Some(true)),
        (End::Failed, "memory_limit", 434, Some(true)),
        (End::Failed, "result_too_large", 407, Some(true)),
        (End::Failed, "scratch_limit", 439, Some(true)),
        (End::Failed, "not_isolated", 439, Some(true)),
        (End::Failed, "start_failed", 405, Some(false)),
        (End::Failed, "refused_address", 405, None),
        (End::Failed, "init_failed", 445, Some(false)),
        (End::Failed, "init_timeout", 450, Some(false)),
        (End::TimedOut, "timeout", 433, Some(true)),
        (End::TimedOut, "not_started", 433, Some(false)),
        (End::TimedOut, "maybe_started", 433, None),
        (End::TimedOut, "no_answer", 433, None),
        (End::Terminated, "terminated", 499, Some(true)),
        (End::Terminated, "not_started", 499, Some(false)),
        (End::Terminated, "maybe_started", 499, None),
        (End::Terminated, "no_answer", 499, None),
        (End::Terminated, "hub_stopped", 499, Some(true)),
        (End::Lost, "executor_died", 500, None),
        (End::Lost, "no_answer", 500, None),
        (End::Expired, "max_event_age", 432, Some(false)),
        (End::Cancelled, "terminated", 499, Some(false)),
        (End::Cancelled, "old_copy", 499, None),
        (End::Cancelled, "damaged", 499, Some(false)),
    ];

    #[test]
    fn every_end_has_its_code_and_says_whether_code_ran() {
        for (end, reason, code, ran) in TABLE {
            let ending = Ending::new(end, Timestamp::from_millis(0), reason);
            assert_eq!(ending.status_code(), code, "{end:?} {reason}");
            assert_eq!(ending.ran(), ran, "{end:?} {reason}");
        }
    }
}
