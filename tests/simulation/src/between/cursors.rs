//! The mutant that writes watermarks in a transaction of their own, after the event's.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tripline_journal::{Accepted, Journal, JournalError, NewInvocation, SqliteJournal};
use tripline_model::{CursorEntry, CursorError, Cursors, Identity, TriggerName};

/// Reads the watermarks that it wrote.
pub(crate) struct Apart(pub(crate) Arc<SqliteJournal>);

/// Accepts a batch in which places are known only by what was written apart.
pub(super) async fn accept(
    journal: &Arc<SqliteJournal>,
    batch: Vec<NewInvocation>,
) -> Result<Vec<Accepted>, JournalError> {
    let mut answers = Vec::new();
    for mut new in batch {
        let place = match (&new.offer.trigger, &new.offer.identity) {
            (Some(trigger), Identity::Position { stream, position }) => {
                Some((trigger.clone(), stream.clone(), *position))
            }
            _ => None,
        };
        let Some((trigger, stream, position)) = place else {
            answers.extend(journal.accept(vec![new]).await?);
            continue;
        };
        let apart = Apart(journal.clone());
        let failed = |error: CursorError| JournalError::Unavailable(error.to_string());
        let mark = apart.watermark(&trigger, &stream).await.map_err(failed)?;
        if mark.is_some_and(|mark| position <= mark) {
            answers.push(Accepted::Past);
            continue;
        }
        Arc::make_mut(&mut new.offer).identity = Identity::Unique;
        answers.extend(journal.accept(vec![new]).await?);
        let entry = CursorEntry {
            key: Bytes::from(stream),
            value: Some(Bytes::copy_from_slice(&position.to_be_bytes())),
        };
        let written = apart.put(&trigger, vec![entry]).await;
        written.map_err(failed)?;
    }
    Ok(answers)
}

#[async_trait]
impl Cursors for Apart {
    async fn get(&self, trigger: &TriggerName, key: &[u8]) -> Result<Option<Bytes>, CursorError> {
        Cursors::get(self.0.as_ref(), trigger, key).await
    }

    async fn range(
        &self,
        trigger: &TriggerName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<CursorEntry>, CursorError> {
        self.0.range(trigger, after, limit).await
    }

    async fn put(
        &self,
        trigger: &TriggerName,
        entries: Vec<CursorEntry>,
    ) -> Result<(), CursorError> {
        self.0.put(trigger, entries).await
    }

    async fn watermark(
        &self,
        trigger: &TriggerName,
        stream: &str,
    ) -> Result<Option<u64>, CursorError> {
        let value = self.get(trigger, stream.as_bytes()).await?;
        let bytes = value.and_then(|value| <[u8; 8]>::try_from(value.as_ref()).ok());
        Ok(bytes.map(u64::from_be_bytes))
    }
}
