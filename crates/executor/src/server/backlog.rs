//! What one run still has to say: its lines, in chunks in memory and on disk, and its end.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use tripline_model::{LogStream, Timestamp};

use super::chunk::Chunk;
use super::end::End;
use super::spill::{Piece, Spill};
use crate::protocol::{FromExecutor, Outcome};

/// Bytes of lines in memory, at most.
const MEMORY: usize = 256 << 10;
/// Bytes of log that a line counts for beside its text: what it takes in the log store of the hub, which is more than it
/// takes here. Otherwise a function could fill the disk with empty lines.
const LINE: u64 = 48;
/// Messages of lines that are under way to a hub and not kept by it, at most.
pub(super) const WINDOW: usize = 32;

/// What one run still has to say.
#[derive(Debug)]
pub(super) struct Backlog {
    run: String,
    /// The connection that hears about the run, by number.
    listener: Option<u64>,
    /// Lines that are not kept by a hub, oldest first.
    chunks: VecDeque<Stored>,
    /// So many chunks at the front were sent to the listener.
    sent: usize,
    /// Bytes of the chunks in memory.
    memory: usize,
    spill: Spill,
    /// Number of the next line.
    next: u64,
    /// Number of the last line that is kept by a hub.
    kept: u64,
    /// Bytes of log that are kept.
    limit: u64,
    /// How many of them are left; `None` once the log was cut.
    room: Option<u64>,
    end: Option<End>,
    /// Whether only `Reclaimed` is still to be said.
    forgotten: bool,
}

#[derive(Debug)]
struct Stored {
    first: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Chunk),
    Spilled { last: u64, piece: Piece },
}

// === impl Backlog ===

impl Backlog {
    /// Of a run that may log `limit` bytes, those that a line takes beside its text included. What memory has no room for goes to a file at `path`.
    pub(super) fn new(run: String, limit: u64, path: PathBuf) -> Self {
        Self {
            run,
            listener: None,
            chunks: VecDeque::new(),
            sent: 0,
            memory: 0,
            spill: Spill::new(path),
            next: 1,
            kept: 0,
            limit,
            room: Some(limit),
            end: None,
            forgotten: false,
        }
    }

    /// Adds a line, cut where the log reaches its limit. What comes after the limit, or after the end, is dropped.
    pub(super) fn push(&mut self, at: Timestamp, stream: LogStream, text: &[u8], complete: bool) {
        if self.end.is_some() {
            return;
        }
        if stream == LogStream::System {
            return self.add(at, stream, text, complete);
        }
        let Some(room) = self.room else {
            return;
        };
        let size = LINE + text.len() as u64;
        if size <= room {
            self.room = Some(room - size);
            return self.add(at, stream, text, complete);
        }
        let room = usize::try_from(room.saturating_sub(LINE));
        let fits = room.map_or(text.len(), |room| room.min(text.len()));
        if fits > 0 {
            self.add(at, stream, &text[..fits], complete);
        }
        self.cut(at, &format!("it reached its limit of {} bytes", self.limit));
    }

    /// Whether the log was cut: no more of it is kept.
    pub(super) fn is_cut(&self) -> bool {
        self.room.is_none()
    }

    /// Says how the run was over. `reclaimed`: nothing of it is alive.
    pub(super) fn end(&mut self, outcome: Outcome, result: Bytes, reclaimed: bool) {
        let mut end = End::new(outcome, result, reclaimed);
        if self.listener.is_none() {
            end.spill(&mut self.spill);
        }
        self.end = Some(end);
    }

    /// Says that nothing of the run is alive any more.
    pub(super) fn reclaim(&mut self) {
        if let Some(end) = &mut self.end {
            end.reclaimed = true;
        }
    }

    /// A connection hears of the run from now on: of a new run, or of one of whose lines it has those up to `after`.
    pub(super) fn attach(&mut self, listener: u64, after: u64) {
        self.keep(after);
        self.listener = Some(listener);
        self.sent = 0;
        if let Some(end) = &mut self.end {
            end.untell();
        }
    }

    /// Nobody hears of the run from now on.
    pub(super) fn detach(&mut self) {
        self.listener = None;
        if let Some(end) = &mut self.end {
            end.spill(&mut self.spill);
        }
    }

    /// Whether `detach` has to write to the disk.
    pub(super) fn detach_writes(&self) -> bool {
        self.end.as_ref().is_some_and(End::is_large)
    }

    /// Drops the lines up to number `line`.
    pub(super) fn keep(&mut self, line: u64) {
        self.kept = self.kept.max(line.min(self.next - 1));
        while let Some(stored) = self.chunks.front()
            && stored.last() <= self.kept
        {
            self.drop_at(0);
        }
    }

    /// Drops all but whether the run is reclaimed.
    pub(super) fn forget(&mut self) {
        while !self.chunks.is_empty() {
            self.drop_at(0);
        }
        if let Some(end) = &mut self.end {
            end.forget(&mut self.spill);
            self.forgotten = true;
        }
    }

    /// Whether there is something that a hub was not told, or has not said that it kept.
    pub(super) fn has_news(&self) -> bool {
        !self.chunks.is_empty() || self.end.is_some()
    }

    /// Whether the run is over.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Whether nothing is to be said, now or later.
    pub(super) fn is_done(&self) -> bool {
        let end = self.end.as_ref().filter(|_| self.forgotten);
        end.is_some_and(|end| end.reclaimed && (self.listener.is_none() || !end.owes()))
    }

    /// Whether something of it is on the disk, so that dropping may remove a file.
    pub(super) fn uses_disk(&self) -> bool {
        self.spill.is_used()
    }

    /// Bytes of lines in memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether adding `bytes` of lines may write to the disk.
    pub(super) fn push_writes(&self, bytes: usize) -> bool {
        self.memory + bytes + Chunk::MAX_MEMORY > MEMORY
    }

    /// Whether the next message may be on the disk.
    pub(super) fn next_reads(&self) -> bool {
        match self.chunks.get(self.sent) {
            Some(stored) => matches!(stored.place, Place::Spilled { .. }),
            None => self.end.as_ref().is_some_and(End::is_spilled),
        }
    }

    /// The next message to `listener`, if there is one that it may have now.
    pub(super) fn next(&mut self, listener: u64) -> Option<(FromExecutor, Bytes)> {
        if self.listener != Some(listener) {
            return None;
        }
        while self.sent < self.chunks.len() {
            if self.sent >= WINDOW {
                return None;
            }
            if let Some(message) = self.next_lines() {
                return Some(message);
            }
        }
        self.end.as_mut()?.next(self.run.clone(), &self.spill)
    }

    /// The first chunk that was not sent, as a message; `None` if it could not be read, and is dropped.
    fn next_lines(&mut self) -> Option<(FromExecutor, Bytes)> {
        let stored = self.chunks.get_mut(self.sent)?;
        let (first, lines, texts) = match &mut stored.place {
            Place::Memory(chunk) => {
                chunk.close();
                chunk.after(self.kept)
            }
            Place::Spilled { last, piece } => {
                let bytes = self.spill.read(*piece);
                let chunk = bytes.map(|bytes| Chunk::decode(stored.first, *last, bytes));
                let Ok(Some(chunk)) = chunk else {
                    let (run, first) = (&self.run, stored.first);
                    tracing::error!(%run, first, last, "lines could not be read back, and are lost");
                    self.drop_at(self.sent);
                    return None;
                };
                chunk.after(self.kept)
            }
        };
        self.sent += 1;
        let run = self.run.clone();
        Some((FromExecutor::Lines { run, first, lines }, texts))
    }

    /// Adds a line to the last chunk, or to a new one.
    fn add(&mut self, at: Timestamp, stream: LogStream, text: &[u8], complete: bool) {
        let number = self.next;
        self.next += 1;
        let mut trouble = None;
        let last = self.chunks.back().filter(|_| self.chunks.len() > self.sent);
        if !last.is_some_and(|last| last.fits(text.len())) {
            trouble = self.make_room().err();
            let place = Place::Memory(Chunk::new(number));
            self.chunks.push_back(Stored {
                first: number,
                place,
            });
        }
        if let Some(stored) = self.chunks.back_mut()
            && let Place::Memory(chunk) = &mut stored.place
        {
            let before = chunk.memory();
            chunk.push(at, stream, text, complete);
            self.memory += chunk.memory() - before;
        }
        if let Some(error) = trouble
            && self.room.is_some()
        {
            self.cut(at, &format!("it could not be kept on the disk: {error}"));
        }
    }

    /// Says that the log ends here. Only remarks follow, of which there are few.
    fn cut(&mut self, at: Timestamp, why: &str) {
        self.room = None;
        let remark = format!("[log cut: {why}]");
        self.add(at, LogStream::System, remark.as_bytes(), true);
    }

    /// Closes the last chunk, and moves it to the disk if memory has no room for another one.
    fn make_room(&mut self) -> io::Result<()> {
        let Some(stored) = self.chunks.back_mut() else {
            return Ok(());
        };
        let Place::Memory(chunk) = &mut stored.place else {
            return Ok(());
        };
        chunk.close();
        if self.memory + Chunk::MAX_MEMORY > MEMORY {
            let piece = self.spill.write(&chunk.encode())?;
            self.memory -= chunk.memory();
            let last = chunk.last();
            stored.place = Place::Spilled { last, piece };
        }
        Ok(())
    }

    fn drop_at(&mut self, index: usize) {
        match self.chunks.remove(index).map(|stored| stored.place) {
            Some(Place::Memory(chunk)) => self.memory -= chunk.memory(),
            Some(Place::Spilled { piece, .. }) => self.spill.release(piece),
            None => {}
        }
        if index < self.sent {
            self.sent -= 1;
        }
    }
}

// === impl Stored ===

impl Stored {
    /// Number of its last line.
    fn last(&self) -> u64 {
        match &self.place {
            Place::Memory(chunk) => chunk.last(),
            Place::Spilled { last, .. } => *last,
        }
    }

    /// Whether a line of `len` bytes can be added.
    fn fits(&self, len: usize) -> bool {
        matches!(&self.place, Place::Memory(chunk) if chunk.fits(len))
    }
}
