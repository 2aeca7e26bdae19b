//! Ends what has waited too long, also while every slot is taken.

use std::sync::Arc;
use std::time::Duration;

use tripline_journal::JournalError;
use tripline_model::End;

use crate::lane::Lane;
use crate::shared::Shared;

/// How often to look.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Invocations ended in one step.
const BATCH_SIZE: usize = 500;

// === impl Shared ===

impl Shared {
    /// Looks at every function again and again until the hub halts.
    pub(crate) async fn expire(self: Arc<Self>) {
        while self.sleep_unless_halted(CHECK_INTERVAL).await {
            for lane in self.lanes.values() {
                if !self.may_have_expired(lane) {
                    continue;
                }
                if let Err(error) = self.expire_lane(lane).await {
                    tracing::warn!(function = %lane.function.name, %error, "expiry failed");
                }
            }
        }
    }

    fn may_have_expired(&self, lane: &Lane) -> bool {
        let before = self.clock.now().minus(lane.function.max_event_age);
        lane.queue().may_be_older_than(before)
    }

    async fn expire_lane(&self, lane: &Lane) -> Result<(), JournalError> {
        let name = &lane.function.name;
        loop {
            let _feed = lane.feed.lock().await;
            let now = self.clock.now();
            let before = now.minus(lane.function.max_event_age);
            let ended = self.journal.expire(name, before, now, BATCH_SIZE).await;
            if let Err(JournalError::Poisoned(why)) = &ended {
                self.fail(why.clone());
            }
            let ended = ended?;
            if ended.is_empty() {
                return Ok(());
            }
            for id in ended {
                let left = lane.queue().drop_ended(id);
                if left {
                    self.free_places(lane, 1);
                }
                self.note_end(lane, id, End::Expired);
            }
        }
    }
}
