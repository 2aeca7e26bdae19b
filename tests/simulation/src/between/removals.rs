//! Removals, watched: what may go is known before, and is gone after.

use std::time::Duration;

use tripline_journal::{Journal, JournalError, Purged, Retention};
use tripline_model::{Invocation, Timestamp};

use super::Between;
use crate::life::records;
use crate::mutant::Mutant;

impl Between {
    pub(super) async fn remove(
        &self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Purged, JournalError> {
        let _closed = self.ends.write().await;
        let may_go = records(self).await.into_iter();
        let may_go: Vec<_> = may_go.filter(|one| is_due(one, retention, now)).collect();
        let due: Vec<_> = may_go.iter().map(|one| one.request_id).collect();
        if self.world.fate.is_over() {
            return Ok(Purged::default());
        }
        self.world.removals().begin(may_go);
        let mut retention = *retention;
        if self.world.is(Mutant::RemovesTooSoon) {
            retention.keep_ended = Duration::ZERO;
        }
        self.pause().await;
        let purged = self.journal.purge(&retention, now).await?;
        self.pause().await;
        self.world.removals().end();
        for id in due {
            // A life that is over shows what the disk still has.
            let lives = !self.world.fate.is_over();
            if lives && matches!(Journal::get(self.journal.as_ref(), id).await, Ok(Some(_))) {
                self.world
                    .wrong(format!("{id} is due, and was not removed"));
            }
        }
        Ok(purged)
    }
}

/// Whether retention lets go of it.
fn is_due(one: &Invocation, retention: &Retention, now: Timestamp) -> bool {
    let keep = match retention.max_bytes {
        1 => retention.keep_at_least.min(retention.keep_ended),
        _ => retention.keep_ended,
    };
    let ended_at = one.ending.as_ref().map(|ending| ending.at);
    ended_at.is_some_and(|at| at < now.minus(keep))
}
