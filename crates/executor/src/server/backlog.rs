//! What one run still has to send: its lines, in chunks in memory and on disk, and its end.

mod spill_requests;

use std::collections::VecDeque;
use std::path::PathBuf;

use bytes::Bytes;
use tripline_model::{LogStream, Timestamp};

use super::chunk::Chunk;
use super::end::PendingEnd;
use super::spill::Spill;
use super::stored::{ChunkLocation, Stored};
use crate::protocol::{FromExecutor, Outcome};

/// Bytes of lines in memory, at most.
const MAX_MEMORY_BYTES: usize = 256 << 10;
/// Bytes of log that a line counts for beside its text: what it takes in the log store of the hub, which is more than it
/// takes here. Otherwise a function could fill the disk with empty lines.
const LINE_OVERHEAD_BYTES: u64 = 48;
/// Messages of lines that are under way to a hub and not kept by it, at most.
pub(super) const SEND_WINDOW: usize = 32;

/// What one run still has to send.
#[derive(Debug)]
pub(super) struct Backlog {
    run: String,
    /// The connection that is sent the run's messages, by number.
    subscriber: Option<u64>,
    /// Lines that are not kept by a hub, oldest first.
    chunks: VecDeque<Stored>,
    /// How many chunks at the front were sent to the subscriber.
    sent: usize,
    /// Bytes of the chunks in memory.
    memory: usize,
    /// A line waits for room in memory.
    crowded: bool,
    /// `None` while something is done with it.
    spill: Option<Spill>,
    /// How many pieces of it are needed.
    pieces: usize,
    /// The disk did not take something: nothing more is given to it.
    refused: bool,
    /// Number of the first of the lines that were read from the disk to be sent next, and these.
    loaded: Option<(u64, Chunk)>,
    /// Number of the next line.
    next: u64,
    /// Number of the last line that is kept by a hub.
    kept: u64,
    /// Bytes of log that are kept.
    limit: u64,
    /// How many of them are left; `None` once the log was cut.
    room: Option<u64>,
    end: Option<PendingEnd>,
    /// Whether only `Reclaimed` is still to be sent.
    forgotten: bool,
}

// === impl Backlog ===

impl Backlog {
    /// Of a run that may log `limit` bytes, those that a line takes beside its text included. What memory has no room for
    /// goes to a file at `path`.
    pub(super) fn new(run: String, limit: u64, path: PathBuf) -> Self {
        Self {
            run,
            subscriber: None,
            chunks: VecDeque::new(),
            sent: 0,
            memory: 0,
            crowded: false,
            spill: Some(Spill::new(path)),
            pieces: 0,
            refused: false,
            loaded: None,
            next: 1,
            kept: 0,
            limit,
            room: Some(limit),
            end: None,
            forgotten: false,
        }
    }

    /// Whether memory has room for a line of `len` bytes, once what is in it went to the disk or was kept.
    pub(super) fn has_room(&mut self, len: usize) -> bool {
        let is_dropped = self.end.is_some() || self.room.is_none();
        let fits = self.open().is_some_and(|last| last.fits(len));
        let has_room = is_dropped || fits || self.refused || !self.is_full();
        self.crowded |= !has_room;
        has_room
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
        let size = LINE_OVERHEAD_BYTES + text.len() as u64;
        if size <= room {
            self.room = Some(room - size);
            return self.add(at, stream, text, complete);
        }
        let room = usize::try_from(room.saturating_sub(LINE_OVERHEAD_BYTES));
        let fits = room.map_or(text.len(), |room| room.min(text.len()));
        if fits > 0 {
            self.add(at, stream, &text[..fits], complete);
        }
        let limit = self.limit;
        self.cut(
            at,
            &format!("it reached the function's `output`, {limit} bytes, {LINE_OVERHEAD_BYTES} of them for each line"),
        );
    }

    /// Whether the log was cut: no more of it is kept.
    pub(super) fn is_cut(&self) -> bool {
        self.room.is_none()
    }

    /// Sets how the run ended. `reclaimed`: nothing of it is alive.
    pub(super) fn end(&mut self, outcome: Outcome, result: &Bytes, reclaimed: bool) {
        self.end = Some(PendingEnd::new(
            self.run.clone(),
            outcome,
            result,
            reclaimed,
        ));
    }

    /// Notes that nothing of the run is alive any more.
    pub(super) fn reclaim(&mut self) {
        if let Some(end) = &mut self.end {
            end.reclaimed = true;
        }
    }

    /// Subscribes a connection to the run; it has the lines up to `after`.
    pub(super) fn attach(&mut self, subscriber: u64, after: u64) {
        self.keep(after);
        self.subscriber = Some(subscriber);
        self.sent = 0;
        if let Some(end) = &mut self.end {
            end.reset_sent();
        }
    }

    /// Nobody is subscribed to the run from now on.
    pub(super) fn detach(&mut self) {
        self.subscriber = None;
        self.loaded = None;
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
            self.pieces -= usize::from(end.forget());
            self.forgotten = true;
        }
    }

    /// Whether there is something that no hub has confirmed.
    pub(super) fn has_news(&self) -> bool {
        !self.chunks.is_empty() || self.end.is_some()
    }

    /// Whether the run is over.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Whether nothing is to be sent, now or later.
    pub(super) fn is_done(&self) -> bool {
        let end = self.end.as_ref().filter(|_| self.forgotten);
        end.is_some_and(|end| end.reclaimed && (self.subscriber.is_none() || !end.has_unsent()))
    }

    /// Bytes of lines in memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// The next message to `subscriber`, if there is one that it may have now.
    pub(super) fn next(&mut self, subscriber: u64) -> Option<(FromExecutor, Bytes)> {
        if self.subscriber != Some(subscriber) {
            return None;
        }
        match self.chunks.len() {
            chunks if self.sent == chunks => self.end.as_mut()?.next(),
            _ if self.sent < SEND_WINDOW => self.next_lines(),
            _ => None,
        }
    }

    /// The first chunk that was not sent, as a message; `None` if it cannot be sent yet.
    fn next_lines(&mut self) -> Option<(FromExecutor, Bytes)> {
        let stored = self.chunks.get_mut(self.sent)?;
        let (first, lines, texts) = match &mut stored.location {
            ChunkLocation::Memory(chunk) | ChunkLocation::Leaving(chunk) => {
                chunk.close();
                chunk.after(self.kept)
            }
            ChunkLocation::Spilled { .. } => {
                let loaded = self.loaded.take_if(|(first, _)| *first == stored.first);
                loaded?.1.after(self.kept)
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
        if !self.open().is_some_and(|last| last.fits(text.len())) {
            if let Some(ChunkLocation::Memory(last)) =
                self.chunks.back_mut().map(|last| &mut last.location)
            {
                last.close();
            }
            self.chunks.push_back(Stored::new(number));
        }
        if let Some(stored) = self.chunks.back_mut()
            && let ChunkLocation::Memory(chunk) = &mut stored.location
        {
            let before = chunk.memory();
            chunk.push(at, stream, text, complete);
            self.memory += chunk.memory() - before;
        }
    }

    /// The last chunk, if lines can still be added to it.
    fn open(&self) -> Option<&Chunk> {
        let last = self
            .chunks
            .back()
            .filter(|_| self.chunks.len() > self.sent)?;
        match &last.location {
            ChunkLocation::Memory(chunk) => Some(chunk),
            ChunkLocation::Leaving(_) | ChunkLocation::Spilled { .. } => None,
        }
    }

    /// Whether memory has no room for one more chunk.
    fn is_full(&self) -> bool {
        self.memory + Chunk::MAX_MEMORY > MAX_MEMORY_BYTES
    }

    /// Ends the log with a remark, unless it has ended. Only remarks follow, of which there are few.
    pub(super) fn cut(&mut self, at: Timestamp, why: &str) {
        if self.room.is_none() || self.end.is_some() {
            return;
        }
        self.room = None;
        let remark = format!("[log cut: {why}]");
        self.add(at, LogStream::System, remark.as_bytes(), true);
    }

    /// Where the chunk is whose first line has this number.
    fn find(&self, first: u64) -> Option<usize> {
        self.chunks
            .binary_search_by_key(&first, |stored| stored.first)
            .ok()
    }

    fn drop_at(&mut self, index: usize) {
        if let Some(stored) = self.chunks.remove(index) {
            self.memory -= stored.memory();
            self.pieces -= usize::from(matches!(stored.location, ChunkLocation::Spilled { .. }));
            self.loaded.take_if(|(first, _)| *first == stored.first);
        }
        if index < self.sent {
            self.sent -= 1;
        }
    }
}
