//! What a trigger keeps between runs of the hub.

use async_trait::async_trait;
use bytes::Bytes;

use crate::TriggerName;

/// A durable value of one trigger under a key of its choice, such as an object's key and what was last seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorEntry {
    /// At most 2 KiB; entries are kept in the order of these bytes.
    pub key: Bytes,
    /// At most 4 KiB; `None` removes the entry.
    pub value: Option<Bytes>,
}

/// Cursors could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal could not be used: {0}")]
pub struct CursorError(pub String);

/// A trigger's own durable notes. Those that belong to an event travel with its [`crate::Offer`] and are written in
/// the transaction that accepts it; this port reads them, and writes those that belong to no event.
#[async_trait]
pub trait Cursors: Send + Sync + 'static {
    /// The value under `key`.
    async fn get(&self, trigger: &TriggerName, key: &[u8]) -> Result<Option<Bytes>, CursorError>;

    /// Up to `limit` entries with keys above `after` (`None`: from the first), in order of their keys.
    async fn range(
        &self,
        trigger: &TriggerName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<CursorEntry>, CursorError>;

    /// Writes entries durably, all or none.
    async fn put(
        &self,
        trigger: &TriggerName,
        entries: Vec<CursorEntry>,
    ) -> Result<(), CursorError>;

    /// The watermark of a stream: the highest position accepted, if any was. See [`crate::Identity::Position`].
    async fn watermark(
        &self,
        trigger: &TriggerName,
        stream: &str,
    ) -> Result<Option<u64>, CursorError>;
}
