//! Finds the next invocation of a function that is to be started, whenever one of its slots is free.

use std::sync::Arc;
use std::time::Duration;

use tripline_journal::JournalError;
use tripline_model::{End, Invocation, RequestId};
use tripline_runtime::StopSignal;

use crate::lane::Lane;
use crate::shared::{Shared, Stoppable};

/// How long to wait before a journal that could not be read is asked again.
const JOURNAL_RETRY_DELAY: Duration = Duration::from_secs(1);

/// An invocation that left the window and can be stopped from now on.
pub(crate) struct Next {
    pub(crate) invocation: Invocation,
    pub(crate) signal: StopSignal,
}

// === impl Shared ===

impl Shared {
    /// Starts what waits, one after the other, until the hub halts. The only place from which anything is started.
    pub(crate) async fn feed(self: Arc<Self>, lane: Arc<Lane>) {
        loop {
            let slot = tokio::select! {
                biased;
                () = self.halt.cancelled() => return,
                slot = lane.slots.take() => slot,
            };
            let Some(next) = self.next(&lane).await else {
                return;
            };
            let (shared, lane) = (self.clone(), lane.clone());
            self.tasks.spawn(async move {
                shared.invoke(&lane, next, slot).await;
                // Something may have been put back.
                lane.work.notify_one();
            });
        }
    }

    /// Waits for the next; `None` when the hub halts.
    async fn next(&self, lane: &Lane) -> Option<Next> {
        loop {
            if self.halt.is_cancelled() {
                return None;
            }
            if let Some(next) = self.pop(lane) {
                return Some(next);
            }
            if lane.queue().overflow() > 0 && self.refill(lane).await {
                continue;
            }
            tokio::select! {
                biased;
                () = self.halt.cancelled() => return None,
                () = lane.work.notified() => {}
            }
        }
    }

    /// Takes the oldest out of the window. From then on it is found among the stoppers, with no moment in between.
    fn pop(&self, lane: &Lane) -> Option<Next> {
        let (stopper, signal) = Stoppable::new(lane.runtime.as_ref());
        let mut queue = lane.queue();
        let invocation = queue.pop()?;
        self.stoppers().insert(invocation.request_id, stopper);
        Some(Next { invocation, signal })
    }

    /// Fills the empty window from the journal; whether there is something to look at again.
    async fn refill(&self, lane: &Lane) -> bool {
        let _feed = lane.feed.lock().await;
        let (skip, room) = {
            let queue = lane.queue();
            (Arc::new(queue.skip()), queue.room())
        };
        let name = &lane.function.name;
        match self.journal.queued(name, &skip, room).await {
            Ok(next) => {
                let taken = lane.queue().refill(next.invocations);
                for id in &next.damaged {
                    self.cancel_damaged(lane, *id).await;
                }
                taken + next.damaged.len() > 0
            }
            Err(error) => {
                tracing::warn!(function = %name, %error, "waiting work could not be read");
                self.sleep_unless_halted(JOURNAL_RETRY_DELAY).await
            }
        }
    }

    /// Ends what waits and is damaged, so that nothing waits behind it. The feed lock is held.
    async fn cancel_damaged(&self, lane: &Lane, id: RequestId) {
        let (function, now) = (&lane.function.name, self.clock.now());
        match self.journal.cancel_damaged(function, id, now).await {
            Ok(true) => {
                tracing::error!(request_id = %id, %function, "changed on the disk while it waited; it is not run");
                let left = lane.queue().drop_ended(id);
                if left {
                    self.free_places(lane, 1);
                }
                self.note_end(lane, id, End::Cancelled);
            }
            // It was whole when it was read again.
            Ok(false) => {
                self.sleep_unless_halted(JOURNAL_RETRY_DELAY).await;
            }
            Err(error) => {
                if let JournalError::Poisoned(why) = &error {
                    self.fail(why.clone());
                }
                tracing::error!(request_id = %id, %function, %error, "changed on the disk while it waited; passed over");
                lane.queue().pass_over(id);
            }
        }
    }
}
