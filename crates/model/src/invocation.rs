//! One event on its way through one function.

use bytes::Bytes;

use crate::{Ending, Event, FunctionName, InvocationState, RequestId, Timestamp, TriggerName};

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

// === impl Invocation ===

impl Invocation {
    /// Bytes that it takes in memory, near enough to bound lists by.
    pub fn weight(&self) -> usize {
        let ending = self.ending.as_ref().map_or(0, |ending| {
            let detail = ending.detail.as_ref().map_or(0, String::len);
            let result = ending.result.as_ref().map_or(0, Bytes::len);
            ending.reason.len() + detail + result
        });
        self.event.weight() + ending
    }

    /// The status code of Tencent SCF that describes it best: 202 until it ends, then [`Ending::status_code`].
    pub fn status_code(&self) -> u16 {
        self.ending.as_ref().map_or(202, Ending::status_code)
    }

    /// Whether function code ran: `None` is "nobody knows", also while it runs.
    pub fn ran(&self) -> Option<bool> {
        match (&self.ending, self.state) {
            (Some(ending), _) => ending.ran(),
            (None, InvocationState::Accepted) => Some(false),
            (None, InvocationState::Running | InvocationState::Ended(_)) => None,
        }
    }
}
