//! Reads SQLite's index of the write-ahead log (WAL), the file `-shm`, when the hub that used it is gone.
//!
//! The index outlives its process, as all written files do, and says how long the WAL was. SQLite updates it when a
//! transaction is durable, before any caller is told. So a WAL that is shorter has lost something. After a power cut the
//! index may be from any earlier moment since the hub's start, but not from before: [`begin`] clears it. What it says of
//! a WAL is still right then, for it was already durable. Only an empty WAL may have been checkpointed since, which is
//! why checkpoints are noted, see [`super::checkpoint_note`].
//!
//! Use these functions only while no connection is open: closing any descriptor of the index drops the locks that this
//! process has on it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::wal_damage::{self, Checksum};

/// Bytes of its header, of which it has two copies, and where the number of checkpointed frames follows.
const HEADER_BYTES: usize = 48;
const CHECKPOINTED_AT: usize = 2 * HEADER_BYTES;

/// The version of the format.
const VERSION: u32 = 3_007_000;

/// The byte that each user of the index has locked.
const IN_USE_BYTE: i64 = 128;

/// The length that SQLite truncates an unused index to.
const UNUSED_BYTES: u64 = 3;

/// What the index says of a WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WalIndex {
    /// The salts of the WAL, which tell it from others.
    pub(super) salts: [u8; 8],
    /// Frames of its whole transactions, all of which were durable.
    pub(super) frames: u32,
    /// Frames that are in the database, too.
    pub(super) checkpointed: u32,
}

/// What the index of this database says; `None` where it is not whole.
pub(super) fn read(database: &Path) -> io::Result<Option<WalIndex>> {
    match fs::read(wal_damage::beside(database, "-shm")) {
        Ok(bytes) => Ok(WalIndex::of(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Truncates an index that nobody uses. SQLite would do that, too, but not durably: after a power cut there might be the
/// index of an earlier hub.
pub(super) fn begin(database: &Path) -> io::Result<()> {
    let path = wal_damage::beside(database, "-shm");
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    if file.metadata()?.len() > UNUSED_BYTES && is_unused(&file) {
        file.set_len(UNUSED_BYTES)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Makes an index that says nothing, if there is none: with the mode of the database, and its owner if that is possible.
pub(super) fn make_empty(database: &Path) -> io::Result<()> {
    let path = wal_damage::beside(database, "-shm");
    if path.exists() {
        return Ok(());
    }
    let like = fs::metadata(database)?;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(like.mode() & 0o777);
    let file = options.open(path)?;
    // SQLite does the same: only root can, and only for root it matters.
    let _may_not = fchown(&file, Some(like.uid()), Some(like.gid()));
    Ok(())
}

/// Whether nobody uses an index. If so, nobody can begin to use it before `file` is closed.
fn is_unused(file: &File) -> bool {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: IN_USE_BYTE,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_SETLK(&lock)).is_ok()
}

// === impl WalIndex ===

impl WalIndex {
    /// Numbers are in the byte order of the machine that the hub ran on, which is this one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let four = bytes.get(at..at + 4)?;
            Some(u32::from_ne_bytes(four.try_into().ok()?))
        };
        let (one, other) = (
            bytes.get(..HEADER_BYTES)?,
            bytes.get(HEADER_BYTES..CHECKPOINTED_AT)?,
        );
        let sum = Checksum::native().over(&one[..40]).values;
        let is_whole = one == other
            && number(0)? == VERSION
            && sum == (number(40)?, number(44)?)
            && one[12] == 1;
        is_whole.then_some(Self {
            salts: one[32..40].try_into().ok()?,
            frames: number(16)?,
            checkpointed: number(CHECKPOINTED_AT)?,
        })
    }
}
