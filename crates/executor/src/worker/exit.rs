//! How a run ended, from what its instance answered and how the instance ended.

use bytes::Bytes;

use super::event_slot::Answer;
use crate::instance::{Exit, How};

/// How the run ended, given how its instance ended: a limit that the instance ran into explains the rest.
pub(super) fn within_limits(run: How, instance: How) -> How {
    match (run, instance.limit()) {
        // No limit makes it a run of this event.
        (How::NotReady { reason, detail }, Some(limit)) => How::NotReady {
            reason,
            detail: format!("{detail}: {limit}"),
        },
        // Also of one that answered: something that it started was killed for that.
        (_, Some(_)) if instance == How::MemoryLimit => instance,
        (How::Crashed { .. }, Some(_)) => instance,
        (run, _) => run,
    }
}

/// The end of a run with this answer, of whose result so many bytes are kept.
pub(super) fn answer_end(answer: Answer, limit: u64) -> Exit {
    match answer {
        Answer::Response(body) => Exit {
            result: body,
            ..without_result(How::Answered)
        },
        Answer::TooLarge => without_result(How::ResultTooLarge),
        Answer::Error(report) => {
            let (kind, message) = (report.kind, report.message);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            Exit {
                result: report.body.slice(..report.body.len().min(limit)),
                result_cut: report.body.len() > limit,
                ..without_result(How::Reported { kind, message })
            }
        }
    }
}

/// An end with nothing to show for it.
pub(super) fn without_result(how: How) -> Exit {
    Exit {
        how,
        result: Bytes::new(),
        result_cut: false,
        peak_memory: None,
        remains: None,
    }
}
