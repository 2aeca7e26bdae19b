//! The port to the logs: what functions write while they run.

use async_trait::async_trait;
use bytes::Bytes;
use tripline_model::{LogLine, LogStream, RequestId, Timestamp};

use crate::LogError;

/// A line that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// The invocation whose log it belongs to.
    pub request_id: RequestId,
    /// When it was read.
    pub at: Timestamp,
    /// The stream that it was written to.
    pub stream: LogStream,
    /// The bytes without the line end.
    pub text: Bytes,
    /// Whether the function ended the line; otherwise the next line of this stream may go on with it.
    pub complete: bool,
    /// Its number where it was read, which starts at 1 and rises within a log. A line that comes again is not kept twice.
    pub origin: u64,
}

/// About the most bytes of a log that are read at once: many slow readers may each hold so much in memory.
pub const MAX_READ_BYTES: usize = 128 * 1024;

/// How full a reading is.
#[derive(Default)]
pub(crate) struct Fill(usize);

/// Keeps log lines, numbers them per invocation, and lets readers follow.
///
/// A line whose origin is not above the last origin of its log is dropped, even after the store was closed and opened
/// again. The store does not limit the length of a log: whoever reads the function's output does.
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// Takes lines in their order. Waits while the buffer is full, and returns before they are readable. Lines that
    /// cannot be written (a full disk) are dropped, and counted in a `System` line once writing works again.
    async fn append(&self, lines: Vec<NewLine>) -> Result<(), LogError>;

    /// The lines after `after_seq` (0: from the first) in order, up to `limit`. Fewer if they are long: it stops when
    /// there are [`MAX_READ_BYTES`] of text. Empty only if there are no more lines.
    async fn read(
        &self,
        id: RequestId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, LogError>;

    /// The number of the last line that can be read; 0 if there is none.
    async fn last_seq(&self, id: RequestId) -> Result<u64, LogError>;

    /// The highest origin among the lines that were appended to a log; 0 if there is none.
    async fn last_origin(&self, id: RequestId) -> Result<u64, LogError>;

    /// Returns when there is, or may be, a line after `after_seq`, or the store is closed. Costs the writer nothing.
    async fn changed(&self, id: RequestId, after_seq: u64);

    /// Waits until everything appended before is readable.
    async fn flush(&self) -> Result<(), LogError>;

    /// Removes the logs of days whose last line was written before `before`, but keeps the day on which `spared` was
    /// accepted and all later ones; answers how many days were removed.
    async fn purge(&self, before: Timestamp, spared: Option<RequestId>) -> Result<u64, LogError>;

    /// Writes out what was appended, then closes.
    async fn close(&self);
}

// === impl Fill ===

impl Fill {
    /// Whether there is room for another line; if so, it is counted.
    pub(crate) fn takes(&mut self, line: &LogLine) -> bool {
        let has_room = self.0 < MAX_READ_BYTES;
        self.0 += line.text.len();
        has_room
    }
}
