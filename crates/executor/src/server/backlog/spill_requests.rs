//! What a backlog asks of the disk, and how it handles the results.

use std::io;

use bytes::Bytes;
use tripline_model::{LogStream, Timestamp};

use super::{Backlog, SEND_WINDOW};
use crate::server::chunk::Chunk;
use crate::server::spill::{Part, Piece, Spill, SpillOperation, SpillRequest, SpillResult};
use crate::server::stored::{ChunkLocation, Stored};

// === impl Backlog ===

impl Backlog {
    /// What is to be done on the disk now, if anything. Pass the result to [`Self::spill_done`].
    pub(in crate::server) fn next_spill_request(&mut self) -> Option<SpillRequest> {
        let spill = self.spill.take()?;
        match self.task(&spill) {
            Some(task) => Some(spill.into_request(task)),
            None => {
                self.spill = Some(spill);
                None
            }
        }
    }

    fn task(&mut self, spill: &Spill) -> Option<SpillOperation> {
        if self.subscriber.is_some()
            && let Some((part, piece)) = self.wanted()
        {
            return Some(SpillOperation::Read(part, piece));
        }
        if !self.refused
            && let Some((part, bytes)) = self.leaving()
        {
            return Some(SpillOperation::Write(part, bytes));
        }
        (spill.is_used() && self.pieces == 0).then_some(SpillOperation::Remove)
    }

    /// What has to be read from the disk before it can be sent.
    fn wanted(&self) -> Option<(Part, Piece)> {
        if self.sent == self.chunks.len() {
            let piece = self.end.as_ref()?.wanted()?;
            return Some((Part::Result, piece));
        }
        let stored = self
            .chunks
            .get(self.sent)
            .filter(|_| self.sent < SEND_WINDOW)?;
        let is_loaded = self
            .loaded
            .as_ref()
            .is_some_and(|(first, _)| *first == stored.first);
        match stored.location {
            ChunkLocation::Spilled { piece, .. } if !is_loaded => {
                Some((Part::Lines(stored.first), piece))
            }
            _ => None,
        }
    }

    /// What has to go to the disk: lines to make room for others, or a result that nobody takes.
    fn leaving(&mut self) -> Option<(Part, Bytes)> {
        self.crowded &= self.is_full();
        if self.crowded {
            let is_here =
                |stored: &&mut Stored| matches!(stored.location, ChunkLocation::Memory(_));
            let stored = self.chunks.iter_mut().rfind(is_here)?;
            let bytes = stored.leave()?;
            return Some((Part::Lines(stored.first), bytes));
        }
        let end = self.end.as_mut().filter(|_| self.subscriber.is_none())?;
        Some((Part::Result, end.leave()?))
    }

    /// A request was carried out; `at` is now.
    pub(in crate::server) fn spill_done(
        &mut self,
        (spill, done): (Spill, SpillResult),
        at: Timestamp,
    ) {
        self.spill = Some(spill);
        match done {
            SpillResult::Written(part, piece) => {
                if let Err(error) = &piece {
                    self.refuse(part, error, at);
                }
                self.left(part, piece.ok());
            }
            SpillResult::Read(Part::Result, read) => {
                if let Some(end) = &mut self.end {
                    end.load(read);
                }
            }
            SpillResult::Read(Part::Lines(first), read) => {
                let Some(index) = self.find(first) else {
                    return;
                };
                let last = self.chunks[index].last();
                let garbled = || io::Error::other("it is not what was written");
                let chunk =
                    read.and_then(|bytes| Chunk::decode(first, last, bytes).ok_or_else(garbled));
                match chunk {
                    Ok(chunk) => self.loaded = Some((first, chunk)),
                    Err(error) => self.lose(index, &error, at),
                }
            }
            SpillResult::Removed => {}
        }
    }

    /// Puts a remark in the place of lines that could not be read back. It has the number of the last of them, in case a
    /// hub kept the first.
    fn lose(&mut self, index: usize, error: &io::Error, at: Timestamp) {
        let (first, last) = (self.chunks[index].first, self.chunks[index].last());
        tracing::error!(run = self.run, first, last, %error, "lines could not be read back, and are lost");
        let mut chunk = Chunk::new(last);
        let remark = format!("[log gap: lines could not be read back from the disk: {error}]");
        chunk.push(at, LogStream::System, remark.as_bytes(), true);
        self.memory += chunk.memory();
        self.pieces -= 1;
        self.chunks[index] = Stored {
            first: last,
            location: ChunkLocation::Memory(chunk),
        };
    }

    /// Something was brought to the disk, or not. It may not be needed any more.
    fn left(&mut self, part: Part, piece: Option<Piece>) {
        let is_needed = match part {
            Part::Result => self.end.as_mut().is_some_and(|end| end.left(piece)),
            Part::Lines(first) => self.find(first).is_some_and(|index| {
                let stored = &mut self.chunks[index];
                self.memory -= piece.map_or(0, |_| stored.memory());
                stored.left(piece)
            }),
        };
        self.pieces += usize::from(is_needed);
    }

    /// The disk did not take something.
    fn refuse(&mut self, part: Part, error: &io::Error, at: Timestamp) {
        self.refused = true;
        match part {
            Part::Result => tracing::warn!(run = self.run, %error, "a result stays in memory"),
            Part::Lines(_) => self.cut(at, &format!("it could not be kept on the disk: {error}")),
        }
    }
}
