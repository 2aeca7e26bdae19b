//! One invocation from the window to its end. The order is the promise: the start is durable, then the runtime is
//! asked, once; the end is durable, then it is told.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use metrics::histogram;
use tracing::Instrument;
use tripline_journal::JournalError;
use tripline_model::{End, Ending, Invocation, InvocationState, LogStream, RequestId};
use tripline_runtime::{Output, Start, StopSignal, run_to_end};

use crate::feeder::Next;
use crate::hub::{HUB_STOPPED, Hub};
use crate::lane::Lane;
use crate::output::InvocationLog;

/// How long to wait after a start that the journal could not record.
const PAUSE: Duration = Duration::from_secs(1);

/// The first and the longest wait before the record of an end is written again.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What became of the record of a start.
enum Recorded {
    /// It is on disk: the invocation is to be run now, by nobody else, and never again.
    Start(Invocation),
    /// Nothing was stored.
    Nothing(Invocation),
    /// It must not be run: it was ended before, or nobody knows what is on disk.
    Gone,
}

// === impl Hub ===

impl Hub {
    /// Takes one invocation to its end, or puts it back unstarted.
    pub(crate) async fn invoke(&self, lane: &Lane, next: Next) {
        let (id, signal) = (next.invocation.request_id, next.signal.clone());
        let function = &lane.function.name;
        let span = tracing::info_span!("invocation", request_id = %id, %function);
        let unstarted = self.to_end(lane, next).instrument(span).await;
        // In this order: whoever asked for a stop until here is heard, and nobody can ask any more.
        self.stoppers().remove(&id);
        if let Some(invocation) = unstarted {
            if is_cancelled(&signal) {
                self.end_waiting(lane, &invocation, End::Cancelled, "terminated")
                    .await;
            } else {
                lane.queue().put_back(invocation);
            }
        }
    }

    /// Gives back an invocation that still has to be started.
    async fn to_end(&self, lane: &Lane, next: Next) -> Option<Invocation> {
        let Next { invocation, signal } = next;
        if is_cancelled(&signal) {
            self.end_waiting(lane, &invocation, End::Cancelled, "terminated")
                .await;
            return None;
        }
        let age = self.clock.now().since(invocation.accepted_at);
        if age > lane.function.max_event_age {
            self.end_waiting(lane, &invocation, End::Expired, "max_event_age")
                .await;
            return None;
        }
        if self.halt.is_cancelled() {
            return Some(invocation);
        }
        match self.record_start(lane, invocation).await {
            Recorded::Start(invocation) => {
                lane.count_running(true);
                let ending = self.run(lane, &invocation, signal).await;
                self.end(lane, invocation.request_id, ending).await;
                lane.count_running(false);
                None
            }
            Recorded::Nothing(invocation) => Some(invocation),
            Recorded::Gone => None,
        }
    }

    /// Ends an invocation that was popped and must not be started any more.
    async fn end_waiting(&self, lane: &Lane, invocation: &Invocation, end: End, reason: &str) {
        let ending = Ending::new(end, self.clock.now(), reason);
        self.end(lane, invocation.request_id, ending).await;
        self.left(lane, invocation);
    }

    /// Makes the start durable.
    async fn record_start(&self, lane: &Lane, mut invocation: Invocation) -> Recorded {
        let (id, now) = (invocation.request_id, self.clock.now());
        match self.journal.start(id, now).await {
            Ok(()) => {
                self.left(lane, &invocation);
                let waited = now.since(invocation.accepted_at);
                histogram!("tripline_start_seconds").record(waited.as_secs_f64());
                invocation.state = InvocationState::Running;
                invocation.started_at = Some(now);
                Recorded::Start(invocation)
            }
            // Nothing was stored and nobody was asked to run it: it still waits for its first start.
            Err(error @ (JournalError::Full | JournalError::Unavailable(_))) => {
                tracing::warn!(%error, "the start could not be recorded; it waits");
                self.nap(PAUSE).await;
                Recorded::Nothing(invocation)
            }
            // Whether the start is on disk is unknown: it is not run. The next life of the hub finds it accepted, and
            // starts it, or running, and calls it lost.
            Err(JournalError::Poisoned(why)) => {
                self.fail(why);
                Recorded::Gone
            }
            // Somebody ended it while it waited.
            Err(error) => {
                tracing::debug!(%error, "not started");
                self.left(lane, &invocation);
                Recorded::Gone
            }
        }
    }

    fn left(&self, lane: &Lane, invocation: &Invocation) {
        lane.queue().left(invocation.request_id);
        self.free_places(lane, 1);
    }

    /// Asks the runtime, once, and waits for the end.
    async fn run(&self, lane: &Lane, invocation: &Invocation, signal: StopSignal) -> Ending {
        let function = lane.function.clone();
        let output = Arc::new(InvocationLog {
            logs: self.logs.clone(),
            clock: self.clock.clone(),
            request_id: invocation.request_id,
            max_log_bytes: function.max_log_bytes,
        });
        let start = Start {
            invocation: invocation.clone(),
            deadline: self.clock.now().plus(function.timeout),
            output: output.clone(),
            function,
        };
        let Some(runtime) = self.runtimes.get(lane.function.runtime) else {
            let word = lane.function.runtime;
            return Ending::new(End::Failed, self.clock.now(), "start_failed")
                .because(format!("this hub has no runtime `{word}`"));
        };
        tracing::debug!("started");
        let run = run_to_end(runtime.as_ref(), start, signal, self.clock.as_ref());
        let ending = AssertUnwindSafe(run).catch_unwind().await;
        let ending = ending.unwrap_or_else(|_| {
            Ending::new(End::Lost, self.clock.now(), "hub_error")
                .because("the hub failed while it ran; it may or may not have done its work")
        });
        if let Some(detail) = &ending.detail {
            let line = Bytes::from(format!("{}: {detail}", ending.end.as_str()));
            output.lines(LogStream::System, vec![line]).await;
        }
        ending
    }

    /// Makes the end durable and tells it. The record is written again while there is no room for it: that repeats a
    /// note about what happened, and runs nothing.
    async fn end(&self, lane: &Lane, id: RequestId, ending: Ending) {
        let end = ending.end;
        let mut pause = AGAIN.0;
        loop {
            match self.journal.finish(id, ending.clone()).await {
                Ok(()) => break,
                Err(error @ (JournalError::Full | JournalError::Unavailable(_))) => {
                    tracing::warn!(%error, "the end could not be recorded; trying again");
                }
                Err(JournalError::Poisoned(why)) => return self.fail(why),
                // The first end wins; whoever wrote it has told it.
                Err(error) => {
                    tracing::debug!(%error, "the end was recorded before");
                    return;
                }
            }
            let closed = self.closed.cancelled();
            if tokio::time::timeout(pause, closed).await.is_ok() {
                tracing::error!(
                    state = end.as_str(),
                    "the hub stopped before the end was recorded"
                );
                return;
            }
            pause = AGAIN.1.min(pause * 2);
        }
        tracing::info!(state = end.as_str(), reason = ending.reason, "ended");
        self.note_end(lane, id, end);
    }
}

/// Whether somebody asked to stop this invocation, and not the hub to stop all.
fn is_cancelled(signal: &StopSignal) -> bool {
    signal.asked().is_some_and(|how| how != HUB_STOPPED)
}
