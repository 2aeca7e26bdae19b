//! One event on its way through one function.

use bytes::Bytes;

use crate::{End, Event, FunctionName, InvocationState, RequestId, Timestamp, TriggerName};

/// What the hub knows of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The receipt.
    pub request_id: RequestId,
    /// The function it is for.
    pub function: FunctionName,
    /// The trigger it came through; `None` for a call through the API.
    pub trigger: Option<TriggerName>,
    /// Where it is in its life.
    pub state: InvocationState,
    /// When it was safe on disk.
    pub accepted_at: Timestamp,
    /// When its start was written.
    pub started_at: Option<Timestamp>,
    /// The end, once there is one. Lists leave its result out.
    pub ending: Option<Ending>,
    /// The event's attributes; its data is dropped from here (`None`) and from the disk at the end.
    pub event: Event,
    /// Length of the event's data in bytes, also after it was dropped.
    pub data_len: u64,
}

/// How, when and why an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub end: End,
    /// When.
    pub at: Timestamp,
    /// A word for machines, such as `exit_code`, `signal`, `timeout`, `hub_restarted`.
    pub reason: String,
    /// One sentence for people; may quote the system's words, never a secret.
    pub detail: Option<String>,
    /// The exit code, where the process had one.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// What the function wrote to stdout, cut at the function's `max_result_bytes`.
    pub result: Option<Bytes>,
    /// Whether the result was cut.
    pub result_cut: bool,
}

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
}
