//! A file that only takes room, so that there is some left for ends when the disk is full.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;

/// The reserve of a journal.
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

// === impl Reserve ===

impl Reserve {
    /// The reserve in `dir`; [`Reserve::make`] makes the file.
    pub(super) fn new(dir: &Path, bytes: u64) -> Self {
        Self {
            path: dir.join("reserve"),
            bytes,
        }
    }

    /// Takes the room. Asks for twice of it and gives half back, so that a disk with just enough for the reserve,
    /// which the next event would fill again, does not count as one with room.
    pub(super) fn make(&self) -> io::Result<()> {
        let made = self.allocate();
        if made.is_err() {
            self.release()?;
        }
        made
    }

    /// Gives the room back to the disk.
    pub(super) fn release(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let file = self.create()?;
        let twice = i64::try_from(self.bytes.saturating_mul(2)).unwrap_or(i64::MAX);
        posix_fallocate(&file, 0, twice)?;
        file.set_len(self.bytes)?;
        file.sync_all()
    }

    fn create(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(&self.path)
    }
}
