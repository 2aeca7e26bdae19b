//! A file that only takes up room, which is given to ends when the disk is full.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;

/// The smallest reserve that is worth keeping for the next start.
const MIN_BYTES: u64 = 256 << 10;

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

    /// Bytes of the whole reserve.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the smaller reserve, which is enough when the journal's file has free pages.
    pub(super) fn part(&self) -> u64 {
        self.bytes / 4
    }

    /// Takes the room. First allocates twice as much and gives half of it back: a disk with just enough room for the
    /// reserve would be full again with the next event, so it must not count as a disk with room.
    pub(super) fn make(&self) -> io::Result<()> {
        self.take(self.bytes.saturating_mul(2), self.bytes)
    }

    /// Takes the room for the smaller reserve. First allocates three times as much: what is given back is for the WAL,
    /// which is kept within half of the part, except for its last transaction.
    pub(super) fn make_part(&self) -> io::Result<()> {
        self.take(self.part() * 3, self.part())
    }

    /// Takes the room that there is, up to the whole reserve. Otherwise other programs could fill it before the hub
    /// starts again.
    pub(super) fn make_what_fits(&self) {
        let mut bytes = self.bytes;
        while bytes >= MIN_BYTES && self.take(bytes, bytes).is_err() {
            bytes /= 2;
        }
    }

    /// Gives the room back to the disk.
    pub(super) fn release(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Allocates `ask` bytes and keeps `keep` of them; if that fails, keeps none.
    fn take(&self, ask: u64, keep: u64) -> io::Result<()> {
        let taken = self.allocate(ask, keep);
        if taken.is_err() {
            self.release()?;
        }
        taken
    }

    fn allocate(&self, ask: u64, keep: u64) -> io::Result<()> {
        let file = self.create()?;
        let ask = i64::try_from(ask).unwrap_or(i64::MAX);
        posix_fallocate(&file, 0, ask)?;
        file.set_len(keep)?;
        file.sync_all()
    }

    fn create(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(&self.path)
    }
}
