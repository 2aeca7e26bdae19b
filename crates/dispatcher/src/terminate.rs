//! Stopping one invocation.

use std::time::Duration;

use tripline_journal::JournalError;
use tripline_model::{End, Ending, Invocation, InvocationState, RequestId};
use tripline_runtime::Stop;

use crate::shared::Shared;

/// What a stop request did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminateOutcome {
    /// It had not been started and never will be: its end `cancelled` is on disk.
    Cancelled,
    /// It was asked to stop; its end follows (see [`tripline_model::Dispatch::ended`]).
    Stopping,
}

/// Why nothing was stopped.
#[derive(Debug, thiserror::Error)]
pub enum TerminateError {
    /// There is no such invocation (any more).
    #[error("there is no invocation {0}")]
    NotFound(RequestId),
    /// It is over.
    #[error("invocation {id} has already ended as {}", end.as_str())]
    AlreadyEnded {
        /// Which invocation.
        id: RequestId,
        /// How it ended.
        end: End,
    },
    /// The journal could not be used.
    #[error("invocation {id} could not be stopped")]
    Journal {
        /// Which invocation.
        id: RequestId,
        /// The journal's error.
        source: JournalError,
    },
}

/// How often to look at an invocation that changes while it is looked at.
const MAX_ATTEMPTS: u32 = 50;

/// How long to wait between two looks.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(10);

// === impl Shared ===

impl Shared {
    pub(crate) async fn terminate(
        &self,
        id: RequestId,
        grace: bool,
    ) -> Result<TerminateOutcome, TerminateError> {
        let how = if grace {
            Stop::Graceful
        } else {
            Stop::Kill("terminated")
        };
        let failed = |source| TerminateError::Journal { id, source };
        for _ in 0..MAX_ATTEMPTS {
            if self.stop(id, how) {
                return Ok(TerminateOutcome::Stopping);
            }
            let found = self.journal.get(id).await.map_err(failed)?;
            let invocation = found.ok_or(TerminateError::NotFound(id))?;
            match invocation.state {
                InvocationState::Ended(end) => {
                    return Err(TerminateError::AlreadyEnded { id, end });
                }
                InvocationState::Accepted if self.cancel(&invocation).await.map_err(failed)? => {
                    return Ok(TerminateOutcome::Cancelled);
                }
                // It was just started, or is just being ended: its next state is soon visible.
                InvocationState::Accepted | InvocationState::Running => {
                    tokio::time::sleep(ATTEMPT_INTERVAL).await;
                }
            }
        }
        let why = "its end could not be written".to_owned();
        Err(failed(JournalError::Unavailable(why)))
    }

    /// Ends a waiting invocation. Whether it was still waiting: the journal decides between this and its start.
    async fn cancel(&self, invocation: &Invocation) -> Result<bool, JournalError> {
        let Some(lane) = self.lanes.get(&invocation.function) else {
            return Ok(false);
        };
        let id = invocation.request_id;
        let _feed = lane.feed.lock().await;
        let ending = Ending::new(End::Cancelled, self.clock.now(), "terminated");
        match self.journal.finish(id, ending).await {
            Ok(()) => {}
            Err(JournalError::Illegal(_)) => return Ok(false),
            Err(error) => {
                if let JournalError::Poisoned(why) = &error {
                    self.fail(why.clone());
                }
                return Err(error);
            }
        }
        let left = lane.queue().drop_ended(id);
        if left {
            self.free_places(lane, 1);
        }
        self.note_end(lane, id, End::Cancelled);
        Ok(true)
    }
}
