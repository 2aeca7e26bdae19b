//! Cutting bytes into lines.

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

use crate::instance::Line;

/// Longer lines are split here.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1024;

/// Bytes that were read and not yet passed on.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no line end.
    searched: usize,
    /// Since when the line in the buffer has been waiting for its end.
    pub(super) begun: Option<Instant>,
}

// === impl Lines ===

impl Lines {
    /// Takes out the lines that are ended, or longer than a line may be.
    pub(super) fn whole(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        loop {
            let end = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|at| self.searched + at);
            match end {
                Some(end) if end <= MAX_LINE_BYTES => lines.push(self.cut(end, true)),
                _ if self.buffer.len() > MAX_LINE_BYTES => {
                    lines.push(self.cut(MAX_LINE_BYTES, false));
                }
                _ => {
                    self.searched = self.buffer.len();
                    if !self.buffer.is_empty() {
                        self.begun.get_or_insert_with(Instant::now);
                    }
                    return lines;
                }
            }
        }
    }

    /// Takes out everything, also a line that is not ended yet.
    pub(super) fn all(&mut self) -> Vec<Line> {
        let mut lines = self.whole();
        if !self.buffer.is_empty() {
            lines.push(self.cut(self.buffer.len(), false));
        }
        lines
    }

    /// Forgets everything.
    pub(super) fn discard(&mut self) {
        self.buffer.clear();
        self.searched = 0;
        self.begun = None;
    }

    /// The first `length` bytes as a line; its end, if it has one, is dropped. A copy: a short line that waits
    /// somewhere must not keep a whole buffer alive.
    fn cut(&mut self, length: usize, complete: bool) -> Line {
        let text = Bytes::copy_from_slice(&self.buffer[..length]);
        self.buffer.advance(length + usize::from(complete));
        self.searched = 0;
        self.begun = None;
        Line { text, complete }
    }
}
