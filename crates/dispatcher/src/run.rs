//! One invocation from its durable start to its durable end, and until nothing of it is left.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use metrics::histogram;
use tripline_journal::JournalError;
use tripline_model::{End, Ending, Invocation, NOT_STARTED, RequestId, contain};
use tripline_runtime::{Runtime, Start, Stop, StopSignal};

use crate::lane::Lane;
use crate::output::InvocationLog;
use crate::shared::Shared;

/// The first and the longest wait before the record of an end is written again.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Whether a run begins now or is resumed, and whose it is.
#[derive(Clone, Copy)]
pub(crate) enum Begin<'a> {
    /// It is begun now, once.
    Run(&'a dyn Runtime),
    /// It was begun by an earlier life of the hub.
    Resume(&'a dyn Runtime),
}

/// Whether the end of a run is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndRecord {
    /// It is on disk.
    Durable,
    /// It is not, or nobody knows: the next life of the hub settles it.
    Unknown,
}

// === impl Shared ===

impl Shared {
    /// Asks the runtime, once, waits for the end, and makes it durable.
    pub(crate) async fn run_to_end(
        &self,
        lane: &Lane,
        begin: Begin<'_>,
        invocation: Invocation,
        signal: StopSignal,
    ) -> EndRecord {
        let id = invocation.request_id;
        match self.run(lane, begin, invocation, signal).await {
            Some(ending) => self.end(lane, id, ending).await,
            None => {
                tracing::info!("goes on without the hub");
                EndRecord::Unknown
            }
        }
    }

    /// Waits for the end of the run; `None` if the hub stops and the run goes on.
    async fn run(
        &self,
        lane: &Lane,
        begin: Begin<'_>,
        invocation: Invocation,
        signal: StopSignal,
    ) -> Option<Ending> {
        let function = lane.function.clone();
        let output = Arc::new(InvocationLog {
            logs: self.logs.clone(),
            request_id: invocation.request_id,
        });
        let began = invocation.started_at.unwrap_or(invocation.accepted_at);
        let start = Start {
            deadline: began.plus(function.timeout),
            invocation,
            output,
            function,
        };
        let runtime = match begin {
            Begin::Run(runtime) | Begin::Resume(runtime) => runtime,
        };
        let run = pin!(async {
            match (begin, signal.asked()) {
                (Begin::Run(_), Some(Stop::Kill(reason))) => {
                    Ending::new(End::Terminated, self.clock.now(), NOT_STARTED)
                        .because(format!("{reason}: stopped before its function was started"))
                }
                (Begin::Run(runtime), _) => runtime.run(start, signal).await,
                (Begin::Resume(runtime), _) => runtime.resume(start, signal).await,
            }
        });
        tracing::debug!("started");
        let ending = tokio::select! {
            biased;
            ending = contain(run) => ending,
            () = self.leave.cancelled(), if runtime.outlives_hub() => return None,
        };
        if let Ok(ending) = ending {
            return Some(ending);
        }
        let ending = Ending::new(End::Lost, self.clock.now(), "hub_error");
        Some(ending.because("the hub failed while it ran; it may or may not have done its work"))
    }

    /// Makes the end durable and notifies those who wait for it. The record is written again while there is no room for
    /// it: that repeats a note about what happened, and runs nothing.
    pub(crate) async fn end(&self, lane: &Lane, id: RequestId, ending: Ending) -> EndRecord {
        let end = ending.end;
        let mut pause = RETRY_DELAYS.0;
        loop {
            match self.journal.finish(id, ending.clone()).await {
                Ok(()) => break,
                Err(error @ (JournalError::Full | JournalError::Unavailable(_))) => {
                    tracing::warn!(%error, "the end could not be recorded; trying again");
                }
                Err(JournalError::Poisoned(why)) => {
                    self.fail(why);
                    return EndRecord::Unknown;
                }
                // The first end wins; whoever wrote it has notified the others.
                Err(error @ JournalError::Illegal(_)) => {
                    tracing::debug!(%error, "the end was recorded before");
                    return EndRecord::Durable;
                }
                // Its record is damaged or gone. Whoever waits for this end hears of it; another try would end the same.
                Err(error) => {
                    tracing::error!(%error, "the end is recorded nowhere");
                    break;
                }
            }
            let closed = self.closed.cancelled();
            if tokio::time::timeout(pause, closed).await.is_ok() {
                let state = end.as_str();
                tracing::error!(state, "the hub stopped before the end was recorded");
                return EndRecord::Unknown;
            }
            pause = RETRY_DELAYS.1.min(pause * 2);
        }
        // A thousand a second end well, and each is in the journal: a line of each would cost more than it says.
        match end {
            End::Succeeded => tracing::debug!("succeeded"),
            _ => tracing::info!(state = end.as_str(), reason = ending.reason, "ended"),
        }
        if let Some(duration_ms) = ending.duration_ms {
            let name = lane.function.name.to_string();
            let span = Duration::from_millis(duration_ms);
            histogram!("tripline_run_seconds", "function" => name).record(span.as_secs_f64());
        }
        self.note_end(lane, id, end);
        EndRecord::Durable
    }

    /// Waits until nothing of an ended run is alive, and shows that it waits, unless that is at once.
    pub(crate) async fn reclaim(&self, lane: Option<&Lane>, runtime: &dyn Runtime, id: RequestId) {
        let reclaim = pin!(runtime.reclaim(id));
        let mut reclaim = contain(reclaim);
        if (&mut reclaim).now_or_never().is_some() {
            return;
        }
        self.reclaiming().insert(id);
        let _pending = lane.map(Lane::count_reclaim_pending);
        tokio::select! {
            biased;
            done = reclaim => {
                if done.is_err() {
                    tracing::error!(request_id = %id, "the runtime failed while it reclaimed the run");
                }
            }
            () = self.leave.cancelled(), if runtime.outlives_hub() => {}
        }
        self.reclaiming().remove(&id);
    }
}
