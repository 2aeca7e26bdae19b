//! From an executor's outcome to the hub's ending.

use bytes::Bytes;
use tripline_executor::protocol::{Outcome, RunEnd};
use tripline_model::{End, Ending, Timestamp};

/// The ending that `outcome` and `result` describe.
pub(super) fn ending(outcome: Outcome, result: Bytes) -> Ending {
    let end = match outcome.end {
        RunEnd::Succeeded => End::Succeeded,
        RunEnd::Failed => End::Failed,
        RunEnd::TimedOut => End::TimedOut,
        RunEnd::Terminated => End::Terminated,
        RunEnd::Lost => End::Lost,
    };
    let ending = Ending {
        detail: outcome.detail,
        exit_code: outcome.exit_code,
        signal: outcome.signal,
        duration_ms: Some(outcome.duration_ms),
        peak_memory_bytes: outcome.peak_memory_bytes,
        memory_limit_bytes: outcome.memory_limit_bytes,
        ..Ending::new(end, Timestamp::from_millis(outcome.at_ms), outcome.reason)
    };
    if ending.ran() == Some(false) {
        return ending;
    }
    Ending {
        result: Some(result),
        result_cut: outcome.result_cut,
        ..ending
    }
}
