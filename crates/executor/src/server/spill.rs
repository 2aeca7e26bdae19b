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

/// An operation on the file, which moves into it: so operations follow one another, and the owner of the file can go on
/// while the disk is slow.
#[derive(Debug)]
pub(super) struct SpillRequest {
    spill: Spill,
    task: SpillOperation,
}

/// An operation on the file.
#[derive(Debug)]
pub(super) enum SpillOperation {
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

/// The result of a request.
#[derive(Debug)]
pub(super) enum SpillResult {
    Written(Part, io::Result<Piece>),
    Read(Part, io::Result<Vec<u8>>),
    Removed,
}

// === impl SpillRequest ===

impl SpillRequest {
    /// Carries it out, which may block. The file comes back.
    pub(super) fn run(self) -> (Spill, SpillResult) {
        let Self { mut spill, task } = self;
        let done = match task {
            SpillOperation::Write(part, bytes) => SpillResult::Written(part, spill.write(&bytes)),
            SpillOperation::Read(part, piece) => SpillResult::Read(part, spill.read(piece)),
            SpillOperation::Remove => {
                spill.remove();
                SpillResult::Removed
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

    /// Moves the file into a request.
    pub(super) fn into_request(self, task: SpillOperation) -> SpillRequest {
        SpillRequest { spill: self, task }
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
