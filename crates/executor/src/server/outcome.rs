//! From how a run ended to the outcome that is sent to the hub.

use std::time::Duration;

use tripline_model::{MAYBE_STARTED, NOT_STARTED, Timestamp};

use crate::instance::How;
use crate::protocol::{Outcome, RunEnd, StopHow};

/// Why a run had to end, if it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was not.
    Itself,
    Asked,
    Killed(String),
    Deadline,
}

/// When a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    /// Since it was started.
    pub(super) after: Duration,
}

/// The outcome of a run that was started.
pub(super) fn of_run(how: How, cause: Cause, timeout: Duration, moment: Moment) -> Outcome {
    let (exit_code, signal) = match &how {
        How::Exited(code) => (Some(*code), None),
        How::Signaled(signal) => (None, Some(*signal)),
        How::Crashed { code, signal } => (*code, *signal),
        _ => (None, None),
    };
    let (end, reason, detail) = match (cause, how) {
        (Cause::Deadline, How::NotReady { .. }) => {
            let detail = format!("no instance took it within its timeout of {timeout:?}");
            (RunEnd::TimedOut, NOT_STARTED.to_owned(), Some(detail))
        }
        (Cause::Killed(reason), How::NotReady { .. }) => {
            let detail = format!("{reason}: stopped before an instance took it");
            (RunEnd::Terminated, NOT_STARTED.to_owned(), Some(detail))
        }
        (Cause::Asked, How::NotReady { .. }) => {
            let detail = "was asked to stop before an instance took it".to_owned();
            (RunEnd::Terminated, NOT_STARTED.to_owned(), Some(detail))
        }
        (Cause::Deadline, _) => {
            let detail = format!("ran longer than its timeout of {timeout:?}");
            (RunEnd::TimedOut, "timeout".to_owned(), Some(detail))
        }
        (_, How::Exited(0)) => (RunEnd::Succeeded, "exit_code".to_owned(), None),
        (_, How::Answered) => (RunEnd::Succeeded, "answered".to_owned(), None),
        (Cause::Killed(reason), _) => (RunEnd::Terminated, reason, None),
        (Cause::Asked, _) => {
            let detail = "was asked to stop and did not end well".to_owned();
            (RunEnd::Terminated, "terminated".to_owned(), Some(detail))
        }
        (Cause::Itself, how) => {
            let (reason, detail) = failure(how);
            (RunEnd::Failed, reason.to_owned(), Some(detail))
        }
    };
    Outcome {
        exit_code,
        signal,
        ..without_run(end, &reason, detail, moment)
    }
}

/// The outcome of a run that had to end while its start hung. Function code has not seen the event, unless `maybe`.
pub(super) fn of_start(maybe: bool, cause: Cause, timeout: Duration, moment: Moment) -> Outcome {
    let (end, detail) = match cause {
        Cause::Killed(reason) => {
            let detail = format!("{reason}: stopped while its start hung");
            (RunEnd::Terminated, detail)
        }
        Cause::Itself | Cause::Asked | Cause::Deadline => {
            let detail = format!("its start hung for longer than its timeout of {timeout:?}");
            (RunEnd::TimedOut, detail)
        }
    };
    let reason = if maybe { MAYBE_STARTED } else { NOT_STARTED };
    without_run(end, reason, Some(detail), moment)
}

/// The outcome where there was no run, or nothing is known of it.
pub(super) fn without_run(
    end: RunEnd,
    reason: &str,
    detail: Option<String>,
    moment: Moment,
) -> Outcome {
    Outcome {
        end,
        reason: reason.to_owned(),
        detail,
        at_ms: moment.at.as_millis(),
        duration_ms: u64::try_from(moment.after.as_millis()).unwrap_or(u64::MAX),
        peak_memory_bytes: None,
        memory_limit_bytes: None,
        exit_code: None,
        signal: None,
        result_cut: false,
    }
}

/// The reason that a kill gives to a run whose executor ends.
pub(super) const EXECUTOR_ENDS: &str = "executor_died";

impl Cause {
    /// What a request to stop makes of it.
    pub(super) fn after(self, asked: &StopHow) -> Self {
        match (self, asked) {
            (Self::Deadline, _) => Self::Deadline,
            (_, StopHow::Kill(reason)) => Self::Killed(reason.clone()),
            (Self::Itself, StopHow::Graceful) => Self::Asked,
            (cause, StopHow::Graceful) => cause,
        }
    }
}

/// Reason and sentence of a run that did not end well by itself.
fn failure(how: How) -> (&'static str, String) {
    let limit = how.limit().unwrap_or_default();
    match how {
        How::Exited(code) => ("exit_code", format!("the process ended with code {code}")),
        How::Signaled(signal) => ("signal", format!("signal {signal} ended the process")),
        How::MemoryLimit => ("memory_limit", limit),
        How::ScratchLimit => ("scratch_limit", limit),
        How::Unbounded(_) => ("not_isolated", limit),
        How::Reported { kind, message } if kind.is_empty() => ("reported", message),
        How::Reported { kind, message } => ("reported", format!("{kind}: {message}")),
        How::Crashed { code, signal } => {
            let how = match (code, signal) {
                (_, Some(signal)) => format!("signal {signal} ended it"),
                (Some(code), None) => format!("it ended with code {code}"),
                (None, None) => "it ended".to_owned(),
            };
            ("crashed", format!("the worker gave no answer: {how}"))
        }
        How::NotReady { reason, detail } => (reason, detail),
        How::ResultTooLarge => {
            let detail = "the answer is larger than the function's `max_result`".to_owned();
            ("result_too_large", detail)
        }
        // Both are good ends, and were taken before.
        How::Answered => ("answered", String::new()),
    }
}
