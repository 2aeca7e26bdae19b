//! How far one invocation's log is: its numbers, its limit, and what was lost of it.

use bytes::Bytes;
use tripline_model::{LogLine, LogStream, Timestamp};

use crate::NewLine;

/// How far a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Number of the last line.
    pub(super) seq: u64,
    /// Bytes of text from the function.
    pub(super) bytes: u64,
    /// Whether the limit was reached and said so.
    pub(super) cut: bool,
    /// Lines that could not be written and are not reported yet.
    pub(super) lost: u64,
}

/// A line with its number.
pub(super) struct Placed {
    pub(super) line: LogLine,
    /// Whether it is the one that says the limit was reached.
    pub(super) is_cut: bool,
}

// === impl Tally ===

impl Tally {
    /// Numbers a line, cuts it at the limit, and adds the hub's remarks where they belong.
    pub(super) fn place(&mut self, new: NewLine, to: &mut Vec<Placed>) {
        if self.lost > 0 {
            let remark = format!("[{} log lines lost: they could not be written]", self.lost);
            self.lost = 0;
            to.push(self.remark(&new, remark, false));
        }
        if new.stream == LogStream::System {
            let text = new.text.clone();
            to.push(self.number(&new, new.stream, text, false));
            return;
        }
        if self.cut {
            return;
        }
        let room = usize::try_from(new.max_log_bytes.saturating_sub(self.bytes));
        let room = room.unwrap_or(usize::MAX);
        let fits = new.text.len() <= room;
        if fits || room > 0 {
            let text = new.text.slice(..new.text.len().min(room));
            self.bytes += text.len() as u64;
            to.push(self.number(&new, new.stream, text, false));
        }
        if !fits {
            self.cut = true;
            let remark = format!(
                "[log cut: it reached its limit of {} bytes]",
                new.max_log_bytes
            );
            to.push(self.remark(&new, remark, true));
        }
    }

    fn remark(&mut self, of: &NewLine, text: String, is_cut: bool) -> Placed {
        self.number(of, LogStream::System, Bytes::from(text), is_cut)
    }

    fn number(&mut self, of: &NewLine, stream: LogStream, text: Bytes, is_cut: bool) -> Placed {
        self.seq += 1;
        let at: Timestamp = of.at;
        Placed {
            line: LogLine {
                request_id: of.request_id,
                seq: self.seq,
                at,
                stream,
                text,
            },
            is_cut,
        }
    }
}
