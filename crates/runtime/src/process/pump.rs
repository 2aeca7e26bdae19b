//! Moving bytes between a process and the hub.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio_util::sync::CancellationToken;
use tripline_model::LogStream;

use crate::Output;

/// Longer lines are split here.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Bytes asked for in one read: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// Bytes still read after a pipe was given up: what lies in it, and not what somebody goes on writing.
const LAST_BYTES: usize = 1024 * 1024;

/// The beginning of stdout, which is the result.
#[derive(Debug, Clone)]
pub(super) struct Kept(Arc<Mutex<Beginning>>);

#[derive(Debug)]
struct Beginning {
    bytes: BytesMut,
    limit: usize,
    cut: bool,
}

/// Reads a pipe to its end and passes on its lines. Once `give_up` is cancelled, only what already lies in the pipe is
/// read.
pub(super) async fn pump(
    mut pipe: impl AsyncRead + Unpin,
    stream: LogStream,
    sink: (Arc<dyn Output>, Option<Kept>),
    give_up: CancellationToken,
) {
    let (output, kept) = sink;
    let mut lines = Lines::default();
    let mut left = LAST_BYTES;
    while left > 0 {
        lines.buffer.reserve(READ_BYTES);
        let before = lines.buffer.len();
        let mut room = (&mut pipe).take(READ_BYTES as u64);
        let read = tokio::select! {
            biased;
            read = room.read_buf(&mut lines.buffer) => read,
            () = give_up.cancelled() => break,
        };
        let count = match read {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        if let Some(kept) = &kept {
            kept.add(&lines.buffer[before..]);
        }
        if give_up.is_cancelled() {
            left = left.saturating_sub(count);
        }
        let whole = lines.whole();
        if !whole.is_empty() {
            output.lines(stream, whole).await;
        }
    }
    let rest = lines.rest();
    if !rest.is_empty() {
        output.lines(stream, rest).await;
    }
}

/// Writes the event's data. A function may close its stdin, or end, without having read it all: that is no error.
pub(super) async fn feed(mut pipe: ChildStdin, data: Bytes) {
    let written = pipe.write_all(&data).await;
    tracing::trace!(
        bytes = data.len(),
        complete = written.is_ok(),
        "stdin closed"
    );
}

/// Cuts bytes into lines.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no line end.
    searched: usize,
}

// === impl Lines ===

impl Lines {
    /// Takes out the lines that are complete, or longer than a line may be.
    fn whole(&mut self) -> Vec<Bytes> {
        let mut lines = Vec::new();
        loop {
            let end = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|at| self.searched + at);
            match end {
                Some(end) if end <= MAX_LINE_BYTES => lines.push(self.cut(end, 1)),
                _ if self.buffer.len() > MAX_LINE_BYTES => lines.push(self.cut(MAX_LINE_BYTES, 0)),
                _ => {
                    self.searched = self.buffer.len();
                    return lines;
                }
            }
        }
    }

    /// Everything, also a last line without an end.
    fn rest(mut self) -> Vec<Bytes> {
        let mut lines = self.whole();
        if !self.buffer.is_empty() {
            lines.push(self.cut(self.buffer.len(), 0));
        }
        lines
    }

    /// The first `length` bytes as a line; `and` more are dropped. A copy: a short line that waits in the log store
    /// must not keep a whole buffer alive.
    fn cut(&mut self, length: usize, and: usize) -> Bytes {
        let line = Bytes::copy_from_slice(&self.buffer[..length]);
        self.buffer.advance(length + and);
        self.searched = 0;
        line
    }
}

// === impl Kept ===

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Beginning {
            bytes: BytesMut::new(),
            limit,
            cut: false,
        })))
    }

    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = kept.limit.saturating_sub(kept.bytes.len());
        let fits = bytes.len().min(room);
        kept.bytes.extend_from_slice(&bytes[..fits]);
        kept.cut |= fits < bytes.len();
    }

    /// What was kept, and whether there was more.
    pub(super) fn take(&self) -> (Bytes, bool) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.bytes.split().freeze(), kept.cut)
    }
}
