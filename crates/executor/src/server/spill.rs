//! The file to which a run's output goes that memory has no room for.
//!
//! Nothing reads it after the executor: its runs die with it. So it is never synced, and what lies where in it is known
//! in memory only.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// The file. It is there from the first write until nothing in it is needed.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    file: Option<File>,
    /// Where the next piece goes.
    end: u64,
    /// How many pieces are needed.
    pieces: usize,
}

/// Bytes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    offset: u64,
    len: usize,
}

// === impl Spill ===

impl Spill {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            end: 0,
            pieces: 0,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Piece> {
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
        self.pieces += 1;
        Ok(piece)
    }

    /// Whether there is a file.
    pub(super) fn is_used(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn read(&self, piece: Piece) -> io::Result<Vec<u8>> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; piece.len];
        file.read_exact_at(&mut bytes, piece.offset)?;
        Ok(bytes)
    }

    /// Says that a piece is not needed any more. With the last one the file goes.
    pub(super) fn release(&mut self, _piece: Piece) {
        self.pieces = self.pieces.saturating_sub(1);
        if self.pieces == 0 {
            self.remove();
        }
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
