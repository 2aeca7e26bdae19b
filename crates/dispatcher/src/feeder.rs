//! Finds the next invocation of a function that is to be started, whenever one of its slots is free.

use std::sync::Arc;
use std::time::Duration;

use tripline_journal::{JournalError, Queued, Settled};
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

/// What a look at the journal came to.
enum Found {
    /// The window may have something, or there may be more to read.
    Something,
    Nothing,
    /// There is something that could not be had now.
    Later,
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

    /// Fills the empty window from the journal; whether there may be something to look at again.
    async fn refill(&self, lane: &Lane) -> bool {
        let found = {
            let _feed = lane.feed.lock().await;
            self.take(lane).await
        };
        match found {
            Found::Something => true,
            Found::Nothing => false,
            // Others have the feed lock meanwhile.
            Found::Later => self.sleep_unless_halted(JOURNAL_RETRY_DELAY).await,
        }
    }

    /// Takes the oldest from the journal. The feed lock is held.
    async fn take(&self, lane: &Lane) -> Found {
        let (skip, room, overflow) = {
            let queue = lane.queue();
            (Arc::new(queue.skip()), queue.room(), queue.overflow())
        };
        let name = &lane.function.name;
        let next = match self.journal.queued(name, &skip, room).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(function = %name, %error, "waiting work could not be read");
                return Found::Later;
            }
        };
        if overflow > 0 && next == Queued::default() {
            lane.note_missing(overflow);
        }
        let (has_damaged, mut oldest) = (!next.damaged.is_empty(), next.invocations);
        let is_settled = self.settle(lane, next.damaged, &mut oldest).await;
        oldest.sort_by_key(|one| (one.accepted_at, one.request_id));
        let taken = lane.queue().refill(oldest);
        match (taken > 0, is_settled) {
            (true, _) => Found::Something,
            (false, false) => Found::Later,
            (false, true) if has_damaged => Found::Something,
            (false, true) => Found::Nothing,
        }
    }

    /// Ends what waits and is damaged, so that nothing waits behind it, and adds what proves to be whole to `whole`;
    /// whether that is done. The feed lock is held.
    async fn settle(
        &self,
        lane: &Lane,
        damaged: Vec<RequestId>,
        whole: &mut Vec<Invocation>,
    ) -> bool {
        let function = &lane.function.name;
        let mut is_settled = true;
        for id in damaged {
            let now = self.clock.now();
            match self.journal.cancel_damaged(function, id, now).await {
                Ok(Settled::Ended) => self.note_damaged(lane, id),
                Ok(Settled::Whole(invocation)) => {
                    tracing::warn!(request_id = %id, %function, "read as damaged, then as it was accepted; it is run");
                    whole.push(*invocation);
                }
                Ok(Settled::NotThere) => {
                    tracing::warn!(request_id = %id, %function, "read as damaged, then not at all; tried again later");
                    is_settled = false;
                }
                Err(error @ JournalError::Damaged(_)) => {
                    tracing::error!(request_id = %id, %function, %error, "changed on the disk while it waited; passed over");
                    lane.queue().pass_over(id);
                }
                // Nothing was stored. The others would fare the same, and take as long.
                Err(error) => {
                    if let JournalError::Poisoned(why) = &error {
                        self.fail(why.clone());
                    }
                    tracing::warn!(request_id = %id, %function, %error, "damaged, and could not be ended; tried again later");
                    return false;
                }
            }
        }
        is_settled
    }

    /// One that was damaged is ended in the journal.
    fn note_damaged(&self, lane: &Lane, id: RequestId) {
        let function = &lane.function.name;
        tracing::error!(request_id = %id, %function, "changed on the disk while it waited; it is not run");
        let left = lane.queue().drop_ended(id);
        if left {
            self.free_places(lane, 1);
        }
        self.note_end(lane, id, End::Cancelled);
    }
}
