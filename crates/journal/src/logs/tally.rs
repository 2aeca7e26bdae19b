//! The last numbers of one invocation's log, and how many of its lines were lost.

use bytes::Bytes;
use tripline_model::{LogLine, LogStream};

use crate::NewLine;

/// The last numbers of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Number of the last line.
    pub(super) seq: u64,
    /// Lines that could not be written and are not reported yet.
    pub(super) lost: u64,
    /// The origin of the last line that has one.
    pub(super) origin: u64,
}

/// A line with its number.
pub(super) struct Placed {
    pub(super) line: LogLine,
    /// `None` for a remark of the store itself.
    pub(super) origin: Option<u64>,
}

// === impl Tally ===

impl Tally {
    /// Numbers a line, and puts a remark before it if lines were lost. Drops a line that was kept before.
    pub(super) fn place(&mut self, new: NewLine, to: &mut Vec<Placed>) {
        if new.origin <= self.origin {
            return;
        }
        self.origin = new.origin;
        if self.lost > 0 {
            let remark = format!("[{} log lines lost: they could not be written]", self.lost);
            self.lost = 0;
            let remark = LogLine {
                stream: LogStream::System,
                text: Bytes::from(remark),
                complete: true,
                ..self.number(&new)
            };
            to.push(Placed {
                line: remark,
                origin: None,
            });
        }
        let line = self.number(&new);
        to.push(Placed {
            line,
            origin: Some(new.origin),
        });
    }

    fn number(&mut self, new: &NewLine) -> LogLine {
        self.seq += 1;
        LogLine {
            request_id: new.request_id,
            seq: self.seq,
            at: new.at,
            stream: new.stream,
            text: new.text.clone(),
            complete: new.complete,
        }
    }
}
