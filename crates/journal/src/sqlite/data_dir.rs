//! The data directory: made for one user, used by one hub at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::wal_damage;
use crate::OpenError;

/// How many bytes are overwritten at a time.
const REWRITE_BYTES: usize = 1 << 20;

/// Holds the lock on the directory until it is dropped. The kernel releases it when the process ends, however it ends.
pub(crate) struct DirLock(Flock<File>);

/// Which file the journal was opened as. If somebody removes or replaces that file, everything written from then on is
/// lost.
pub(super) struct Place {
    path: PathBuf,
    is: (u64, u64),
}

/// Makes the directory if need be, keeps others out of it, and locks it.
pub(super) fn claim(dir: &Path) -> Result<DirLock, OpenError> {
    let failed = |source| OpenError::Io {
        path: dir.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let mode = fs::metadata(dir).map_err(failed)?.permissions().mode();
    let is_empty = || Ok(fs::read_dir(dir)?.next().is_none());
    if mode & 0o022 != 0 && !is_empty().map_err(failed)? {
        return Err(written_by_others(dir));
    }
    // Others may pass through (`x`): users of functions do, on the way to their scratch directories.
    if mode & 0o066 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    // Somebody may have written into it before the mode was changed.
    if mode & 0o022 != 0 && !is_empty().map_err(failed)? {
        return Err(written_by_others(dir));
    }
    lock(dir)
}

/// The error for a directory in which others may have left links, or a token of their own.
fn written_by_others(dir: &Path) -> OpenError {
    let reason = format!(
        "others could write into it, and there is something in it: look what it is, then run `chmod 700 {}`",
        dir.display()
    );
    OpenError::Unusable {
        path: dir.to_owned(),
        reason,
    }
}

/// Makes the names of the files in the directory durable.
pub(super) fn sync(dir: &Path) -> Result<(), OpenError> {
    sync_names(dir).map_err(|source| OpenError::Io {
        path: dir.to_owned(),
        source,
    })
}

/// See [`sync`].
pub(super) fn sync_names(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Overwrites a WAL that a crash left with its own bytes, and syncs it. If an fsync failed before the crash, the WAL may
/// only be in the page cache while the system takes it for written. Without this, a power cut during the checkpoint would
/// leave half of it in the database, and no WAL to repair that from.
pub(super) fn rewrite_wal(database: &Path) -> Result<(), OpenError> {
    let path = wal_damage::beside(database, "-wal");
    rewrite(&path).map_err(|source| OpenError::Io { path, source })
}

fn rewrite(path: &Path) -> io::Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let (mut chunk, mut at) = (vec![0; REWRITE_BYTES], 0);
    loop {
        let count = file.read_at(&mut chunk, at)?;
        if count == 0 {
            break;
        }
        file.write_all_at(&chunk[..count], at)?;
        at += count as u64;
    }
    if at > 0 {
        file.sync_all()?;
    }
    Ok(())
}

// === impl Place ===

impl Place {
    /// The file that `path` leads to now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            is: place(path)?,
        })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong, if its path does not lead to it any more.
    pub(super) fn lost(&self) -> Option<String> {
        let path = self.path.display();
        match place(&self.path) {
            Ok(is) if is == self.is => None,
            Ok(_) => Some(format!("{path} was replaced while the hub used it")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("{path} was removed while the hub used it"))
            }
            // It may still be there: if not, the write fails.
            Err(_) => None,
        }
    }
}

fn place(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn lock(dir: &Path) -> Result<DirLock, OpenError> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    let opened = options.open(&path);
    let file = opened.map_err(|source| OpenError::Io {
        path: path.clone(),
        source,
    })?;
    let held = hold(file, dir)?;
    write_pid(&held.0).map_err(|source| OpenError::Io { path, source })?;
    Ok(held)
}

/// Keeps hubs out of a directory without changing anything in it; `None` if no hub was ever there.
pub(crate) fn keep_out(dir: &Path) -> Result<Option<DirLock>, OpenError> {
    match File::open(dir.join("lock")) {
        Ok(file) => hold(file, dir).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Io {
            path: dir.join("lock"),
            source,
        }),
    }
}

fn hold(file: File, dir: &Path) -> Result<DirLock, OpenError> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(DirLock(held)),
        Err((mut file, Errno::EWOULDBLOCK)) => Err(OpenError::Locked {
            dir: dir.to_owned(),
            pid: read_pid(&mut file),
        }),
        Err((_, errno)) => Err(OpenError::Io {
            path: dir.join("lock"),
            source: errno.into(),
        }),
    }
}

/// Overwrites the last pid, because a full disk may have no other room. If there is none at all, no pid is kept: it is
/// only for a message.
fn write_pid(file: &File) -> io::Result<()> {
    let text = format!("{}\n", std::process::id());
    match file.write_all_at(text.as_bytes(), 0) {
        Ok(()) => file.set_len(text.len() as u64),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => file.set_len(0),
        Err(error) => Err(error),
    }
}

fn read_pid(file: &mut File) -> u32 {
    let mut text = String::new();
    // The pid is only for a message.
    let read = file.take(32).read_to_string(&mut text);
    read.ok()
        .and_then(|_| text.trim().parse().ok())
        .unwrap_or(0)
}
