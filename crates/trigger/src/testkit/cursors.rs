//! Durable notes that last as long as the test.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tripline_model::{CursorEntry, CursorError, Cursors, TriggerName, lock};

/// [`Cursors`] in memory. Give the same one to a second context to play a restart of the hub.
#[derive(Debug, Default)]
pub struct MemoryCursors {
    kept: Mutex<Kept>,
    watermark_asked: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<(TriggerName, Bytes), Bytes>,
    watermarks: BTreeMap<(TriggerName, String), u64>,
    failure: Option<CursorError>,
}

// === impl MemoryCursors ===

impl MemoryCursors {
    /// No notes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every call fail with `failure`, or none any more.
    pub fn fail(&self, failure: Option<CursorError>) {
        self.kept().failure = failure;
    }

    /// Waits until the trigger reads a watermark, which it does to find out where to begin.
    pub async fn wait_watermark_asked(&self) {
        self.watermark_asked.notified().await;
    }

    /// All notes of a trigger in the order of their keys.
    pub fn all(&self, trigger: &TriggerName) -> Vec<(Bytes, Bytes)> {
        let kept = self.kept();
        let own = kept.entries.iter().filter(|((name, _), _)| name == trigger);
        own.map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Writes the notes of an offer that is accepted, which never fails.
    pub(super) fn write(&self, trigger: &TriggerName, entries: Vec<CursorEntry>) {
        let mut kept = self.kept();
        for CursorEntry { key, value } in entries {
            let key = (trigger.clone(), key);
            match value {
                Some(value) => kept.entries.insert(key, value),
                None => kept.entries.remove(&key),
            };
        }
    }

    /// Moves a stream's watermark to `position`; false if it is there already or further.
    pub(super) fn pass(&self, trigger: &TriggerName, stream: &str, position: u64) -> bool {
        let mut kept = self.kept();
        let key = (trigger.clone(), stream.to_owned());
        let is_new = kept
            .watermarks
            .get(&key)
            .is_none_or(|mark| position > *mark);
        if is_new {
            kept.watermarks.insert(key, position);
        }
        is_new
    }

    fn working(&self) -> Result<MutexGuard<'_, Kept>, CursorError> {
        let kept = self.kept();
        match &kept.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(kept),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

#[async_trait]
impl Cursors for MemoryCursors {
    async fn get(&self, trigger: &TriggerName, key: &[u8]) -> Result<Option<Bytes>, CursorError> {
        let key = (trigger.clone(), Bytes::copy_from_slice(key));
        Ok(self.working()?.entries.get(&key).cloned())
    }

    async fn range(
        &self,
        trigger: &TriggerName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<CursorEntry>, CursorError> {
        let at = |key: &[u8]| (trigger.clone(), Bytes::copy_from_slice(key));
        let from = match after {
            Some(key) => Bound::Excluded(at(key)),
            None => Bound::Included(at(&[])),
        };
        let kept = self.working()?;
        let own = kept
            .entries
            .range((from, Bound::Unbounded))
            .take_while(|((name, _), _)| name == trigger);
        let entry = |((_, key), value): (&(TriggerName, Bytes), &Bytes)| CursorEntry {
            key: key.clone(),
            value: Some(value.clone()),
        };
        Ok(own.take(limit).map(entry).collect())
    }

    async fn put(
        &self,
        trigger: &TriggerName,
        entries: Vec<CursorEntry>,
    ) -> Result<(), CursorError> {
        drop(self.working()?);
        self.write(trigger, entries);
        Ok(())
    }

    async fn watermark(
        &self,
        trigger: &TriggerName,
        stream: &str,
    ) -> Result<Option<u64>, CursorError> {
        self.watermark_asked.notify_one();
        let key = (trigger.clone(), stream.to_owned());
        Ok(self.working()?.watermarks.get(&key).copied())
    }
}

#[cfg(test)]
mod tests;
