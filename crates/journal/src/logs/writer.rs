//! The thread that writes logs. Lines that are appended during one transaction are written in the next.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tripline_model::{RequestId, Timestamp};

use super::day::{self, Day};
use super::followers::Followers;
use super::sync::Syncer;
use super::tally::Tally;
use crate::{LogError, NewLine};

/// About the most lines in one transaction.
const MAX_LINES: usize = 8192;
/// The most files that are kept open for writing.
const MAX_FILES: usize = 4;
/// The most logs whose last numbers are kept in memory; those of others are looked up.
const MAX_TALLIES: usize = 16_384;

/// What the writer is asked for.
pub(super) enum Command {
    /// To write lines, which take up the buffer until then.
    Lines(Vec<NewLine>, OwnedSemaphorePermit),
    /// To answer when everything before is written.
    Flush(oneshot::Sender<()>),
    /// See [`LogStore::purge`](crate::LogStore::purge).
    Purge {
        before: Timestamp,
        spared: Option<RequestId>,
        reply: oneshot::Sender<Result<u64, LogError>>,
    },
}

/// What the writer thread owns.
pub(super) struct Writer {
    pub(super) dir: PathBuf,
    pub(super) followers: Arc<Followers>,
    files: HashMap<Day, Connection>,
    tallies: HashMap<RequestId, Tally>,
    syncer: Syncer,
    /// Whether the last write failed: an outage is reported once.
    failing: bool,
}

/// One transaction, and who gets an answer after it. A flush between lines waits for the lines after it, too, so that
/// many flushes at the same time take one transaction.
#[derive(Default)]
struct Batch {
    lines: Vec<NewLine>,
    permits: Vec<OwnedSemaphorePermit>,
    flushed: Vec<oneshot::Sender<()>>,
}

// === impl Batch ===

impl Batch {
    fn has_room(&self) -> bool {
        self.lines.len() < MAX_LINES && self.flushed.len() < MAX_LINES
    }
}

// === impl Writer ===

impl Writer {
    /// A writer of the files in `dir`.
    pub(super) fn new(dir: PathBuf, followers: Arc<Followers>) -> io::Result<Self> {
        Ok(Self {
            syncer: Syncer::start(dir.clone())?,
            dir,
            followers,
            files: HashMap::new(),
            tallies: HashMap::new(),
            failing: false,
        })
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self, mut queue: Receiver<Command>) {
        while let Some(first) = queue.blocking_recv() {
            // Threads that wait for a processor may have more lines for this transaction.
            thread::yield_now();
            let mut batch = Batch::default();
            let mut next = Some(first);
            let purge = loop {
                match next {
                    Some(Command::Lines(more, permit)) => {
                        batch.lines.extend(more);
                        batch.permits.push(permit);
                    }
                    Some(Command::Flush(reply)) => batch.flushed.push(reply),
                    Some(Command::Purge {
                        before,
                        spared,
                        reply,
                    }) => break Some((before, spared, reply)),
                    None => break None,
                }
                next = batch.has_room().then(|| queue.try_recv().ok()).flatten();
            };
            self.write(batch.lines);
            drop(batch.permits);
            for reply in batch.flushed {
                // The caller may have dropped its future.
                let _ = reply.send(());
            }
            if let Some((before, spared, reply)) = purge {
                let _ = reply.send(self.purge(before, spared));
            }
        }
    }

    fn write(&mut self, lines: Vec<NewLine>) {
        let mut days: BTreeMap<Day, Vec<NewLine>> = BTreeMap::new();
        for line in lines {
            days.entry(Day::of(line.request_id)).or_default().push(line);
        }
        for (day, lines) in days {
            let mut lost: HashMap<RequestId, u64> = HashMap::new();
            for line in &lines {
                *lost.entry(line.request_id).or_default() += 1;
            }
            match self.write_day(day, lines) {
                Ok(()) => self.failing = false,
                Err(error) => self.lose(day, lost, &error),
            }
        }
        if self.tallies.len() > MAX_TALLIES {
            self.tallies.clear();
        }
    }

    fn write_day(&mut self, day: Day, lines: Vec<NewLine>) -> rusqlite::Result<()> {
        self.open(day)?;
        let Some(file) = self.files.get(&day) else {
            return Ok(());
        };
        let transaction = file.unchecked_transaction()?;
        let mut tallies: HashMap<RequestId, Tally> = HashMap::new();
        let mut placed = Vec::with_capacity(lines.len());
        for line in lines {
            let id = line.request_id;
            let tally = match tallies.get_mut(&id) {
                Some(tally) => tally,
                None => {
                    let known = self.tallies.get(&id).copied();
                    let known = known.map_or_else(|| day::tally(file, id), Ok)?;
                    tallies.entry(id).or_insert(known)
                }
            };
            tally.place(line, &mut placed);
        }
        if placed.is_empty() {
            return Ok(());
        }
        day::insert(file, &placed)?;
        transaction.commit()?;
        self.syncer.written(day);
        for (id, tally) in &tallies {
            self.followers.tell(*id, tally.seq);
        }
        self.tallies.extend(tallies);
        Ok(())
    }

    /// Counts lines that could not be written as lost.
    fn lose(&mut self, day: Day, lost: HashMap<RequestId, u64>, error: &rusqlite::Error) {
        if !self.failing {
            self.failing = true;
            tracing::warn!(%error, "log lines are lost: they cannot be written");
        }
        for (id, lines) in lost {
            if let Some(tally) = self.tallies.get_mut(&id) {
                tally.lost += lines;
            } else if let Some(Ok(tally)) = self.files.get(&day).map(|file| day::tally(file, id)) {
                let lost = lines;
                self.tallies.insert(id, Tally { lost, ..tally });
            }
        }
    }

    fn open(&mut self, day: Day) -> rusqlite::Result<()> {
        if self.files.contains_key(&day) {
            return Ok(());
        }
        if self.files.len() >= MAX_FILES {
            self.files.clear();
        }
        let file = day::open_writer(&day.path(&self.dir))?;
        self.files.insert(day, file);
        Ok(())
    }

    fn purge(&mut self, before: Timestamp, spared: Option<RequestId>) -> Result<u64, LogError> {
        let failed = |error: &dyn std::error::Error| LogError::Failed(error.to_string());
        let (mut removed, mut left) = (0, Vec::new());
        for day in Day::all(&self.dir).map_err(|e| failed(&e))? {
            if day.end() > before || spared.is_some_and(|id| Day::of(id) <= day) {
                continue;
            }
            // If one fails, the others are removed all the same.
            match self.purge_day(day, before) {
                Ok(gone) => removed += u64::from(gone),
                Err(error) => left.push(format!("{}: {error}", day.path(&self.dir).display())),
            }
        }
        if left.is_empty() {
            Ok(removed)
        } else {
            Err(LogError::Failed(format!(
                "remove by hand: {}",
                left.join("; ")
            )))
        }
    }

    /// Removes the day if it is old; answers whether it was.
    fn purge_day(&mut self, day: Day, before: Timestamp) -> io::Result<bool> {
        let path = day.path(&self.dir);
        let newest = match self.files.get(&day) {
            Some(file) => day::newest(file),
            None if day::has_wal(&path) => Ok(Some(day::changed(&path)?)),
            None => day::newest_in(&path),
        };
        let is_old = match newest {
            Ok(newest) => newest.is_none_or(|newest| newest < before),
            Err(error) => {
                let is_old = day::changed(&path)? < before;
                if is_old {
                    let path = path.display();
                    tracing::warn!(%path, %error, "an old log that cannot be read is removed");
                }
                is_old
            }
        };
        if is_old {
            self.files.remove(&day);
            self.tallies.retain(|id, _| Day::of(*id) != day);
            day.remove(&self.dir)?;
        }
        Ok(is_old)
    }
}
