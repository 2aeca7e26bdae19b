//! What SQLite's index of the write-ahead log (`-shm`) still says when its hub is gone.
//!
//! It outlives its process as what is written does, and says how long the log was: SQLite writes that when a transaction is
//! durable, before anybody is told. So a log that is shorter has lost something. After a power cut the index may be of any
//! earlier moment of its hub's life ([`begin`] leaves none of a life before). What it says of the same log is right even
//! then, for it was durable already. But a log that is empty may have been moved into the file since: therefore the last
//! one that was is noted, durably, before it is cut.
//!
//! But for [`note_moved`], these are for when no connection is open: closing any descriptor of the index drops the locks
//! that this process has on it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::data_dir;
use super::wal::{self, Sum};

/// Each of the two copies of its header, and where it says what was moved into the file.
const HEADER: usize = 48;
const MOVED: usize = 2 * HEADER;
const BEGUN: usize = MOVED + 32;

/// The version that SQLite knows.
const VERSION: u32 = 3_007_000;

/// The byte of it that whoever uses it has locked, and the length that SQLite cuts it to when nobody does.
const IN_USE: i64 = 128;
const CUT_TO: u64 = 3;

/// The name of the note.
const NOTE: &str = "moved";

/// The last log that was moved into the file before it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    /// The first word of its salts: one more in each log of the same life.
    number: u32,
    /// Its frames.
    frames: u32,
}

/// What the index says of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WalIndex {
    /// Which log it is.
    pub(super) salts: [u8; 8],
    /// Frames of its transactions, all of which were durable.
    pub(super) frames: u32,
    /// Frames that are in the file, too.
    pub(super) moved: u32,
    /// Frames that may be in the file, for somebody was about to move them.
    pub(super) begun: u32,
}

/// What the index of this database says; nothing where it is not whole.
pub(super) fn read(database: &Path) -> io::Result<Option<WalIndex>> {
    match fs::read(wal::beside(database, "-shm")) {
        Ok(bytes) => Ok(WalIndex::of(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Cuts an index that nobody uses, as SQLite would at once, but durably: what is found after a power cut is of this life.
pub(super) fn begin(database: &Path) -> io::Result<()> {
    let path = wal::beside(database, "-shm");
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    if file.metadata()?.len() > CUT_TO && is_unused(&file) {
        file.set_len(CUT_TO)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Whether nobody uses an index; then nobody can begin to before `file` is closed.
fn is_unused(file: &File) -> bool {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: IN_USE,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_SETLK(&lock)).is_ok()
}

/// Notes that so many frames of the log are in the file, which is all of it: it may be cut. Where that cannot be noted
/// nothing is: then an empty log is taken for one that was cut.
pub(super) fn note_moved(database: &Path, frames: i64) {
    let path = database.with_file_name(NOTE);
    // Another kind of disk has no such files.
    if !wal::beside(database, "-wal").exists() {
        return;
    }
    let salts = wal::salts(database);
    let noted = salts.and_then(|salts| {
        let salts = salts.unwrap_or_default();
        let moved = Moved {
            number: number(salts),
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
        };
        moved.write(&path)
    });
    if let Err(error) = noted {
        tracing::warn!(%error, "it could not be noted that the journal's log is moved");
        // It is not there, or the disk does nothing any more.
        let _ = fs::remove_file(&path);
    }
}

/// Whether the log that the index tells of came after the last one that was cut.
pub(super) fn is_later(database: &Path, index: &WalIndex) -> io::Result<bool> {
    let noted = match fs::read_to_string(database.with_file_name(NOTE)) {
        Ok(noted) => noted,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    Ok(Moved::parse(&noted).is_some_and(|moved| moved.is_before(index)))
}

fn number(salts: [u8; 8]) -> u32 {
    let [a, b, c, d, ..] = salts;
    u32::from_be_bytes([a, b, c, d])
}

// === impl Moved ===

impl Moved {
    fn parse(text: &str) -> Option<Self> {
        let (number, frames) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self {
            number: number.parse().ok()?,
            frames: frames.parse().ok()?,
        })
    }

    /// Over the note before, as long as that: on a full disk there may be no other room.
    fn write(self, path: &Path) -> io::Result<()> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        let text = format!("{:010} {:010}\n", self.number, self.frames);
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_data()?;
        if is_new {
            data_dir::sync_names(path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    fn is_before(self, index: &WalIndex) -> bool {
        match number(index.salts).wrapping_sub(self.number) {
            0 => self.frames < index.frames,
            later => later < 1 << 31,
        }
    }
}

// === impl WalIndex ===

impl WalIndex {
    /// Numbers are in the byte order of the machine, which is that of its hub.
    fn of(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let four = bytes.get(at..at + 4)?;
            Some(u32::from_ne_bytes(four.try_into().ok()?))
        };
        let (one, other) = (bytes.get(..HEADER)?, bytes.get(HEADER..MOVED)?);
        let sum = Sum::native().over(&one[..40]).values;
        let is_whole = one == other
            && number(0)? == VERSION
            && sum == (number(40)?, number(44)?)
            && one[12] == 1;
        is_whole.then_some(Self {
            salts: one[32..40].try_into().ok()?,
            frames: number(16)?,
            moved: number(MOVED)?,
            begun: number(BEGUN)?,
        })
    }
}
