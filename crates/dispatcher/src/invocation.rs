//! One invocation from the window to its start. The order is the promise: the start is durable, then the runtime is
//! asked, once.

use std::time::Duration;

use metrics::histogram;
use tracing::Instrument;
use tripline_journal::JournalError;
use tripline_model::{End, Ending, Invocation, InvocationState};
use tripline_runtime::StopSignal;

use crate::feeder::Next;
use crate::lane::Lane;
use crate::run::{Begin, EndRecord};
use crate::shared::{HUB_STOPPED, Shared};
use crate::slots::Slot;

/// How long to wait after a start that the journal could not record.
const JOURNAL_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What became of the record of a start.
enum Recorded {
    /// It is on disk: the invocation is to be run now, by nobody else, and never again.
    Start(Invocation),
    /// Nothing was stored.
    Nothing(Invocation),
    /// It must not be run: it was ended before, or nobody knows what is on disk.
    Gone,
}

/// What became of an invocation that left the window.
enum Outcome {
    /// It still has to be started.
    Unstarted(Box<Invocation>),
    /// It was started.
    Ran(EndRecord),
    /// It is not to be started any more, or not in this life of the hub.
    Gone,
}

// === impl Shared ===

impl Shared {
    /// Takes one invocation to its end, or puts it back unstarted. The slot is free when nothing of it is alive.
    pub(crate) async fn invoke(&self, lane: &Lane, next: Next, slot: Slot) {
        let (id, signal) = (next.invocation.request_id, next.signal.clone());
        let function = &lane.function.name;
        let span = tracing::info_span!("invocation", request_id = %id, %function);
        let (unstarted, over) = match self.to_end(lane, next).instrument(span).await {
            Outcome::Unstarted(invocation) => (Some(*invocation), EndRecord::Unknown),
            Outcome::Gone => (None, EndRecord::Unknown),
            Outcome::Ran(over) => (None, over),
        };
        // In this order: a stop that was requested until here counts, and none can be requested any more.
        self.stoppers().remove(&id);
        if let Some(invocation) = unstarted {
            if is_cancelled(&signal) {
                self.end_waiting(lane, &invocation, End::Cancelled, "terminated")
                    .await;
            } else {
                lane.queue().put_back(invocation);
            }
        }
        if over == EndRecord::Durable {
            self.reclaim(Some(lane), lane.runtime.as_ref(), id).await;
        }
        drop(slot);
    }

    async fn to_end(&self, lane: &Lane, next: Next) -> Outcome {
        let Next { invocation, signal } = next;
        if is_cancelled(&signal) {
            self.end_waiting(lane, &invocation, End::Cancelled, "terminated")
                .await;
            return Outcome::Gone;
        }
        let age = self.clock.now().since(invocation.accepted_at);
        if age > lane.function.max_event_age {
            self.end_waiting(lane, &invocation, End::Expired, "max_event_age")
                .await;
            return Outcome::Gone;
        }
        if self.halt.is_cancelled() {
            return Outcome::Unstarted(Box::new(invocation));
        }
        match self.record_start(lane, invocation).await {
            Recorded::Start(invocation) => {
                let begin = Begin::Run(lane.runtime.as_ref());
                Outcome::Ran(self.run_to_end(lane, begin, invocation, signal).await)
            }
            Recorded::Nothing(invocation) => Outcome::Unstarted(Box::new(invocation)),
            Recorded::Gone => Outcome::Gone,
        }
    }

    /// Ends an invocation that was popped and must not be started any more.
    async fn end_waiting(&self, lane: &Lane, invocation: &Invocation, end: End, reason: &str) {
        let ending = Ending::new(end, self.clock.now(), reason);
        self.end(lane, invocation.request_id, ending).await;
        self.left_after_others(lane, invocation).await;
    }

    /// Makes the start durable.
    async fn record_start(&self, lane: &Lane, mut invocation: Invocation) -> Recorded {
        let (id, now) = (invocation.request_id, self.clock.now());
        match self.journal.start(id, now).await {
            Ok(()) => {
                lane.counts().started();
                self.starts.notify(id);
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
                self.sleep_unless_halted(JOURNAL_RETRY_DELAY).await;
                Recorded::Nothing(invocation)
            }
            // Whether the start is on disk is unknown: it is not run. The next life of the hub finds it accepted, and
            // starts it, or running, and calls it lost.
            Err(JournalError::Poisoned(why)) => {
                self.fail(why);
                Recorded::Gone
            }
            // Somebody ended it while it waited.
            Err(error @ JournalError::Illegal(_)) => {
                tracing::debug!(%error, "not started");
                self.left_after_others(lane, &invocation).await;
                Recorded::Gone
            }
            // It still waits, and cannot be started.
            Err(error @ JournalError::Damaged(_)) => {
                tracing::error!(%error, "changed on the disk while it waited; passed over");
                lane.queue().pass_over(id);
                Recorded::Gone
            }
            // Its record is gone, which nobody else tells.
            Err(error) => {
                tracing::error!(%error, "accepted, and cannot be started; it is not run");
                self.left_after_others(lane, &invocation).await;
                self.note_end(lane, id, End::Cancelled);
                Recorded::Gone
            }
        }
    }

    /// As `left`, of one that somebody else may just have ended. They hold the feed lock until they have said so to the
    /// queue, and must find it held there: else it would be counted out twice.
    async fn left_after_others(&self, lane: &Lane, invocation: &Invocation) {
        let _feed = lane.feed.lock().await;
        self.left(lane, invocation);
    }

    fn left(&self, lane: &Lane, invocation: &Invocation) {
        lane.queue().left(invocation.request_id);
        self.free_places(lane, 1);
    }
}

/// Whether somebody asked to stop this invocation, and not the hub to stop all.
fn is_cancelled(signal: &StopSignal) -> bool {
    signal.asked().is_some_and(|how| how != HUB_STOPPED)
}
