//! The port to what functions say while they run.

use async_trait::async_trait;
use bytes::Bytes;
use tripline_model::{LogLine, LogStream, RequestId, Timestamp};

use crate::LogError;

/// A line that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// Whose log.
    pub request_id: RequestId,
    /// When it was read.
    pub at: Timestamp,
    /// Where it was written.
    pub stream: LogStream,
    /// The bytes without the line end.
    pub text: Bytes,
    /// Whether the function ended the line; otherwise the next line of this stream may go on with it.
    pub complete: bool,
    /// The number it got where it was read, from 1 and rising within a log: it is kept once, however often it comes.
    pub origin: u64,
}

/// What one reading of a log takes into memory, nearly: many readers may be slow with what they got.
pub const MAX_READ_BYTES: usize = 128 * 1024;

/// How full a reading is.
#[derive(Default)]
pub(crate) struct Fill(usize);

/// Keeps log lines, numbers them per invocation, and lets readers follow.
///
/// A line whose origin is not above the last origin of its log is dropped, also after the store was closed and opened.
/// How long a log may be is for those to see to who read the lines.
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// Takes lines in their order. Waits while the buffer is full, and returns before they are readable. Lines that
    /// cannot be written (a full disk) are dropped, and counted in a `System` line once writing works again.
    async fn append(&self, lines: Vec<NewLine>) -> Result<(), LogError>;

    /// The lines after `after_seq` (0: from the first) in order, up to `limit`, and fewer where they are long: no more
    /// come once there are [`MAX_READ_BYTES`] of text. None only if there are none.
    async fn read(
        &self,
        id: RequestId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, LogError>;

    /// The number of the last line that can be read; 0 if there is none.
    async fn last_seq(&self, id: RequestId) -> Result<u64, LogError>;

    /// The highest origin in a log, of what was appended before; 0 if there is none.
    async fn last_origin(&self, id: RequestId) -> Result<u64, LogError>;

    /// Returns when there is, or may be, a line after `after_seq`, or the store is closed. Costs the writer nothing.
    async fn changed(&self, id: RequestId, after_seq: u64);

    /// Waits until everything appended before is readable.
    async fn flush(&self) -> Result<(), LogError>;

    /// Removes the logs that were last written to before `before`, a whole day's file at a time, and none from the day on
    /// when `spared` was accepted; says how many days.
    async fn purge(&self, before: Timestamp, spared: Option<RequestId>) -> Result<u64, LogError>;

    /// Writes out what was appended, then closes.
    async fn close(&self);
}

// === impl Fill ===

impl Fill {
    /// Whether there is room for the line, which counts from now on.
    pub(crate) fn takes(&mut self, line: &LogLine) -> bool {
        let has_room = self.0 < MAX_READ_BYTES;
        self.0 += line.text.len();
        has_room
    }
}
