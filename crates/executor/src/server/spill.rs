//! The file to which a run's output goes that memory has no room for, and what is done with it.
//!
//! Nothing reads it after the executor: its runs die with it. So it is never synced, and what lies where in it is known
//! in memory only.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use bytes::Bytes;

/// The file. It is there from the first write until nothing in it is needed.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    file: Option<File>,
    /// Where the next piece goes.
    end: u64,
}

/// Bytes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    offset: u64,
    len: usize,
}

/// Something to be done with the file, which is away meanwhile: so one thing is done after the other, and whoever owns
/// the file can go on while a disk takes its time.
#[derive(Debug)]
pub(super) struct Errand {
    spill: Spill,
    task: Task,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Task {
    Write(Part, Bytes),
    Read(Part, Piece),
    /// Nothing in the file is needed.
    Remove,
}

/// Which part of a run's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The lines from this number on.
    Lines(u64),
    Result,
}

/// What came of an errand.
#[derive(Debug)]
pub(super) enum Done {
    Written(Part, io::Result<Piece>),
    Read(Part, io::Result<Vec<u8>>),
    Removed,
}

// === impl Errand ===

impl Errand {
    /// Does it, which may block. The file comes back.
    pub(super) fn run(self) -> (Spill, Done) {
        let Self { mut spill, task } = self;
        let done = match task {
            Task::Write(part, bytes) => Done::Written(part, spill.write(&bytes)),
            Task::Read(part, piece) => Done::Read(part, spill.read(piece)),
            Task::Remove => {
                spill.remove();
                Done::Removed
            }
        };
        (spill, done)
    }
}

// === impl Spill ===

impl Spill {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            end: 0,
        }
    }

    /// Sends the file away.
    pub(super) fn away(self, task: Task) -> Errand {
        Errand { spill: self, task }
    }

    /// Whether there is a file.
    pub(super) fn is_used(&self) -> bool {
        self.file.is_some()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<Piece> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            self.file = Some(options.mode(0o600).open(&self.path)?);
        }
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.write_all_at(bytes, self.end)?;
        let piece = Piece {
            offset: self.end,
            len: bytes.len(),
        };
        self.end += bytes.len() as u64;
        Ok(piece)
    }

    fn read(&self, piece: Piece) -> io::Result<Vec<u8>> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; piece.len];
        file.read_exact_at(&mut bytes, piece.offset)?;
        Ok(bytes)
    }

    fn remove(&mut self) {
        self.end = 0;
        if self.file.take().is_some()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a spill file stays behind");
        }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.remove();
    }
}
