//! What is removed because it is old, or because there is too much.

use std::collections::HashSet;

use tokio::time::{Instant, sleep};
use tripline_model::{RequestId, Timestamp};

use super::{SqliteJournal, read, row};
use crate::{JournalError, Purged, Retention};

/// The most records, identities or cursors that are removed in one transaction.
const MAX_RECORDS_PER_PURGE: usize = 500;

/// The pause after each removal, as a multiple of how long it took, so that a large purge does not slow down other
/// writes.
const PAUSE_PER_PURGE: u32 = 3;

impl SqliteJournal {
    /// See [`crate::Journal::purge`].
    pub(super) async fn forget(
        &self,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Purged, JournalError> {
        let keep_at_least = retention.keep_at_least.min(retention.keep_ended);
        let gone_before = now.minus(retention.keep_removed);
        let allowed = self.allowed_bytes(retention.max_bytes).await?;
        let (mut purged, mut unreadable) = (Purged::default(), HashSet::new());
        loop {
            let began = Instant::now();
            let too_large = self.readers.read(read::used_bytes).await? > allowed;
            let before = match too_large {
                true => now.minus(keep_at_least),
                false => now.minus(retention.keep_ended),
            };
            let invocations = self.purge_ended(before, &mut unreadable).await?;
            let limit = row::number(MAX_RECORDS_PER_PURGE);
            let (identities, notes) = self
                .amend(move |group| {
                    let identities = group.purge_identities(now, limit)?;
                    Ok((identities, group.purge_notes(gone_before, limit)?))
                })
                .await?;
            purged.invocations += invocations;
            purged.identities += identities;
            purged.notes += notes;
            if invocations + identities + notes == 0 {
                break;
            }
            if !too_large {
                sleep(began.elapsed() * PAUSE_PER_PURGE).await;
            }
        }
        Ok(purged)
    }

    /// Removes some records whose end was recorded before a time. Those that SQLite can neither read nor remove stay.
    async fn purge_ended(
        &self,
        before: Timestamp,
        unreadable: &mut HashSet<RequestId>,
    ) -> Result<u64, JournalError> {
        loop {
            let except = unreadable.clone();
            let purge =
                self.amend(move |group| group.purge_ended(before, &except, MAX_RECORDS_PER_PURGE));
            match purge.await {
                Err(JournalError::Damaged(id)) if unreadable.insert(id) => {
                    tracing::warn!(request_id = %id, "its record cannot be read, so it cannot be removed");
                }
                done => return done,
            }
        }
    }

    /// The bytes that may be used: `most`, and what waits and runs beside that. The latter is only counted if it matters.
    async fn allowed_bytes(&self, most: u64) -> Result<u64, JournalError> {
        if self.readers.read(read::used_bytes).await? <= most {
            return Ok(most);
        }
        let open = self.readers.read(read::open_bytes).await?;
        Ok(most.saturating_add(open))
    }
}
