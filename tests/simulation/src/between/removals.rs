//! Removals, watched: what may go is known before, and is gone after.

use std::time::Duration;

use tripline_journal::{Journal, JournalError, Purged, Retention};
use tripline_model::{Invocation, Timestamp};

use super::Between;
use crate::check::HEARD;
use crate::life::records;
use crate::mutant::Mutant;

impl Between {
    pub(super) async fn remove(
        &self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Purged, JournalError> {
        let _closed = self.ends.write().await;
        let (mut may_go, mut due) = (Vec::new(), Vec::new());
        for one in records(self).await {
            let Some((first, last)) = self.kept_from(&one) else {
                continue;
            };
            let before = due_before(retention, now);
            if last < before {
                due.push(one.request_id);
            }
            if first < before {
                may_go.push(one);
            }
        }
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
                    .wrong(HEARD, &format!("{id} is due, and was not removed"));
            }
        }
        Ok(purged)
    }

    /// Between which times the journal has it as recorded, if it has ended: a call may be made again in a later life, and
    /// nobody is told which of them the disk has kept.
    fn kept_from(&self, one: &Invocation) -> Option<(Timestamp, Timestamp)> {
        let at = one.ending.as_ref()?.at;
        let (first, last) = self.world.asked().recorded.get(&at).copied()?;
        Some((first.max(at), last.max(at)))
    }
}

/// From when on retention keeps what has ended.
fn due_before(retention: &Retention, now: Timestamp) -> Timestamp {
    let keep = match retention.max_bytes {
        1 => retention.keep_at_least.min(retention.keep_ended),
        _ => retention.keep_ended,
    };
    now.minus(keep)
}
