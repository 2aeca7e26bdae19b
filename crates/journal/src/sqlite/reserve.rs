//! A file that only takes room, so that there is some left for ends when the disk is full.

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

    /// Bytes of the part that does where the journal's file has room of its own.
    pub(super) fn part(&self) -> u64 {
        self.bytes / 4
    }

    /// Takes the room. Asks for twice of it and gives half back, so that a disk with just enough for the reserve,
    /// which the next event would fill again, does not count as one with room.
    pub(super) fn make(&self) -> io::Result<()> {
        self.take(self.bytes.saturating_mul(2), self.bytes)
    }

    /// Takes room for a part. Asks for three times of it: what is given back is for the WAL, which is kept within half
    /// of the part, except for its last transaction.
    pub(super) fn make_part(&self) -> io::Result<()> {
        self.take(self.part() * 3, self.part())
    }

    /// Takes what room there is, up to the reserve: on a full disk others would have it when the hub starts again.
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

    /// Takes `ask` bytes and keeps `keep` of them, or has none.
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
