//! What is removed because it is old, or because there is too much.

use tokio::time::{Instant, sleep};
use tripline_model::Timestamp;

use super::{SqliteJournal, read};
use crate::{JournalError, Purged, Retention};

/// Records that are removed in one transaction.
const PURGE_STEP: u64 = 500;

/// How much longer than such a transaction others write undisturbed, so that a large removal does not slow them down.
const PURGE_REST: u32 = 3;

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
        let mut purged = Purged::default();
        loop {
            let began = Instant::now();
            let too_large = self.readers.read(read::used_bytes).await? > allowed;
            let before = match too_large {
                true => now.minus(keep_at_least),
                false => now.minus(retention.keep_ended),
            };
            let invocations = self
                .amend(move |group| group.purge_ended(before, PURGE_STEP))
                .await?;
            let limit = PURGE_STEP.cast_signed();
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
                sleep(began.elapsed() * PURGE_REST).await;
            }
        }
        Ok(purged)
    }

    /// Bytes that may be used: `most`, and what waits and runs. That is only counted where it matters.
    async fn allowed_bytes(&self, most: u64) -> Result<u64, JournalError> {
        if self.readers.read(read::used_bytes).await? <= most {
            return Ok(most);
        }
        let open = self.readers.read(read::open_bytes).await?;
        Ok(most.saturating_add(open))
    }
}
