//! The problem that the caller of a synchronous function gets when it did not succeed: the same at both listeners.

use http::StatusCode;
use tripline_model::{End, Ending, RequestId};

use crate::Problem;

impl Problem {
    /// The hub stops before the run has ended; the run may go on.
    pub fn not_waited_for(request_id: RequestId) -> Self {
        let title = "the hub is stopping before the function has ended";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_waited_for", title)
            .detail("it was accepted; how it ends is kept under its RequestId")
            .request_id(request_id)
    }

    /// How the run of a function ended that did not succeed.
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
                match ending.ran() {
                    Some(true) => "the function ran longer than it may",
                    Some(false) => "the function was not started within its timeout",
                    None => "no answer of the function came within its timeout",
                },
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

#[cfg(test)]
mod tests {
    use tripline_model::{NO_ANSWER, NOT_STARTED, Timestamp};

    use super::*;

    #[test]
    fn a_timeout_states_no_more_than_is_known() {
        let id = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e".parse().unwrap();
        for (reason, title) in [
            ("timeout", "the function ran longer than it may"),
            (
                NOT_STARTED,
                "the function was not started within its timeout",
            ),
            (
                NO_ANSWER,
                "no answer of the function came within its timeout",
            ),
        ] {
            let ending = Ending::new(End::TimedOut, Timestamp::from_millis(0), reason);
            let problem = format!("{:?}", Problem::ended(id, &ending));
            assert!(problem.contains(title), "{problem}");
        }
    }
}
