//! How far one invocation's log is: its numbers, its limit, and what was lost of it.

use bytes::Bytes;
use tripline_model::{LogLine, LogStream};

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
    /// The origin of the last line that has one.
    pub(super) origin: u64,
}

/// A line with its number.
pub(super) struct Placed {
    pub(super) line: LogLine,
    pub(super) origin: Option<u64>,
    /// Whether it is the one that says the limit was reached.
    pub(super) is_cut: bool,
}

// === impl Tally ===

impl Tally {
    /// Numbers a line, cuts it at the limit, and adds the hub's remarks where they belong. Drops one that came before.
    pub(super) fn place(&mut self, new: NewLine, to: &mut Vec<Placed>) {
        if let Some(origin) = new.origin {
            if origin <= self.origin {
                return;
            }
            self.origin = origin;
        }
        if self.lost > 0 {
            let remark = format!("[{} log lines lost: they could not be written]", self.lost);
            self.lost = 0;
            to.push(self.remark(&new, remark, false));
        }
        if new.stream == LogStream::System {
            let text = new.text.clone();
            to.push(self.number(&new, text));
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
            to.push(self.number(&new, text));
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
        let text = Bytes::from(text);
        let remark = NewLine {
            stream: LogStream::System,
            text: text.clone(),
            complete: true,
            origin: None,
            ..*of
        };
        Placed {
            is_cut,
            ..self.number(&remark, text)
        }
    }

    fn number(&mut self, of: &NewLine, text: Bytes) -> Placed {
        self.seq += 1;
        // A line that was cut goes on, but not here.
        let complete = of.complete && text.len() == of.text.len();
        Placed {
            line: LogLine {
                request_id: of.request_id,
                seq: self.seq,
                at: of.at,
                stream: of.stream,
                complete,
                text,
            },
            origin: of.origin,
            is_cut: false,
        }
    }
}
