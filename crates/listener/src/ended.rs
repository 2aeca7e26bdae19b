//! What the caller of a synchronous function hears when it did not succeed: the same at both doors.

use http::StatusCode;
use tripline_model::{End, Ending, RequestId};

use crate::Problem;

impl Problem {
    /// The hub stops before the run has ended, which may go on.
    pub fn not_waited_for(request_id: RequestId) -> Self {
        let title = "the hub is stopping before the function has ended";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_waited_for", title)
            .detail("it was accepted; how it ends is kept under its RequestId")
            .request_id(request_id)
    }

    /// How the run ended, of a function that did not succeed.
    pub fn ended(request_id: RequestId, ending: &Ending) -> Self {
        let (status, kind, title) = match ending.end {
            End::Succeeded | End::Failed => (
                StatusCode::BAD_GATEWAY,
                "function_failed",
                "the function failed",
            ),
            End::TimedOut => (
                StatusCode::GATEWAY_TIMEOUT,
                "function_timed_out",
                "the function ran longer than it may",
            ),
            End::Terminated => (
                StatusCode::BAD_GATEWAY,
                "function_terminated",
                "the function was stopped",
            ),
            End::Lost => (
                StatusCode::BAD_GATEWAY,
                "function_lost",
                "the function was started, and how it ended is not known",
            ),
            End::Expired => (
                StatusCode::SERVICE_UNAVAILABLE,
                "function_expired",
                "the function was not started in time and will not be",
            ),
            End::Cancelled => (
                StatusCode::SERVICE_UNAVAILABLE,
                "function_cancelled",
                "the function was not started and will not be",
            ),
        };
        let detail = match (&ending.detail, ending.exit_code, ending.signal) {
            (Some(detail), _, _) => detail.clone(),
            (None, Some(code), _) => format!("exit code {code}"),
            (None, None, Some(signal)) => format!("signal {signal}"),
            (None, None, None) => ending.reason.clone(),
        };
        Self::new(status, kind, title)
            .detail(detail)
            .request_id(request_id)
    }
}
