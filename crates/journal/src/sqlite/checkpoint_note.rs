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

/// Notes that all `frames` of the WAL are in the database, so that it may be truncated. If that fails, there is no note,
/// and an empty WAL counts as damaged.
pub(super) fn write(database: &Path, frames: i64) {
    let path = database.with_file_name(FILE);
    // A VFS other than SQLite's own, as in simulations, keeps its files elsewhere.
    if !wal_damage::beside(database, "-wal").exists() {
        return;
    }
    let salts = wal_damage::salts(database);
    let noted = salts.and_then(|salts| {
        let salts = salts.unwrap_or_default();
        let note = CheckpointNote {
            wal: number(salts),
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
        };
        note.write(&path)
    });
    if let Err(error) = noted {
        tracing::warn!(%error, "it could not be noted that the journal's WAL is checkpointed");
        // If this fails, there is no file, or the disk does nothing any more.
        let _ = fs::remove_file(&path);
    }
}

/// Whether the index tells of frames that came after the last checkpoint that was noted.
pub(super) fn is_older_than(database: &Path, index: &WalIndex) -> io::Result<bool> {
    let noted = match fs::read_to_string(database.with_file_name(FILE)) {
        Ok(noted) => noted,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    Ok(CheckpointNote::parse(&noted).is_some_and(|note| note.is_before(index)))
}

fn number(salts: [u8; 8]) -> u32 {
    let [a, b, c, d, ..] = salts;
    u32::from_be_bytes([a, b, c, d])
}

// === impl CheckpointNote ===

impl CheckpointNote {
    fn parse(text: &str) -> Option<Self> {
        let (wal, frames) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self {
            wal: wal.parse().ok()?,
            frames: frames.parse().ok()?,
        })
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
            0 => self.frames < index.frames,
            later => later < 1 << 31,
        }
    }
}
