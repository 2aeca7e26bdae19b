//! The file `moved`: which write-ahead log (WAL) was last checkpointed before it was truncated.
//!
//! An empty WAL looks the same whether it was checkpointed or lost. So each time, before the WAL is truncated, the
//! number of the WAL and of its frames is written here and synced: if the index tells of no later frames, nothing is
//! lost.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::data_dir;
use super::wal_damage;
use super::wal_index::WalIndex;

/// The name of the file: its content names the WAL that was moved into the database.
const FILE: &str = "moved";

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CheckpointNote {
    /// The first word of the salts of the WAL: each restart of the WAL adds one to it.
    wal: u32,
    /// The number of its frames.
    frames: u32,
}

/// Forgets what was noted in an earlier life, whose WALs may have had the same numbers; for when the index is cleared. A
/// new database has no note yet.
pub(super) fn begin(database: &Path) {
    if database.exists() {
        CheckpointNote::NONE.write_or_remove(database);
    }
}

/// Notes that all `frames` of the WAL are in the database, so that it may be truncated. If that fails, there is no note,
/// and an empty WAL counts as whole: it was most likely truncated, and nobody can tell. Of an empty WAL there is nothing to
/// note: what was noted of the one before stands.
pub(super) fn write(database: &Path, frames: i64) {
    match wal_damage::salts(database) {
        Ok(Some(salts)) => CheckpointNote {
            wal: number(salts),
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
        }
        .write_or_remove(database),
        // A VFS other than SQLite's own, as in simulations, keeps its files elsewhere.
        Ok(None) => {}
        Err(error) => CheckpointNote::failed(database, &error),
    }
}

/// Whether the index tells of frames that came after the last checkpoint that was noted.
pub(super) fn is_older_than(database: &Path, index: &WalIndex) -> io::Result<bool> {
    Ok(read(database)?.is_some_and(|note| note.is_before(index)))
}

/// Whether the WAL that was checkpointed last is the one with these salts, and had as many frames.
pub(super) fn is_of(database: &Path, salts: Option<[u8; 8]>, frames: u32) -> io::Result<bool> {
    let wal = salts.map(|salts| CheckpointNote {
        wal: number(salts),
        frames,
    });
    Ok(wal.is_some() && read(database)? == wal)
}

fn read(database: &Path) -> io::Result<Option<CheckpointNote>> {
    match fs::read_to_string(database.with_file_name(FILE)) {
        Ok(noted) => Ok(CheckpointNote::parse(&noted)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn number(salts: [u8; 8]) -> u32 {
    let [a, b, c, d, ..] = salts;
    u32::from_be_bytes([a, b, c, d])
}

// === impl CheckpointNote ===

impl CheckpointNote {
    /// No WAL was truncated yet.
    const NONE: Self = Self { wal: 0, frames: 0 };

    fn parse(text: &str) -> Option<Self> {
        let (wal, frames) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self {
            wal: wal.parse().ok()?,
            frames: frames.parse().ok()?,
        })
    }

    fn write_or_remove(self, database: &Path) {
        if let Err(error) = self.write(&database.with_file_name(FILE)) {
            Self::failed(database, &error);
        }
    }

    fn failed(database: &Path, error: &io::Error) {
        tracing::warn!(%error, "it could not be noted that the journal's WAL is checkpointed");
        // If this fails, there is no file, or the disk does nothing any more.
        let _ = fs::remove_file(database.with_file_name(FILE));
    }

    /// Overwrites the last note, which has the same length: a full disk may have no room for another file.
    fn write(self, path: &Path) -> io::Result<()> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        let text = format!("{:010} {:010}\n", self.wal, self.frames);
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_data()?;
        if is_new {
            data_dir::sync_names(path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    fn is_before(self, index: &WalIndex) -> bool {
        match number(index.salts).wrapping_sub(self.wal) {
            _ if self == Self::NONE => index.frames > 0,
            0 => self.frames < index.frames,
            later => later < 1 << 31,
        }
    }
}
