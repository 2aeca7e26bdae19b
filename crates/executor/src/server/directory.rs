//! The executor's directory: its lock, its socket, and whether it is still ours.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::net::UnixListener;

use super::ServeError;
use crate::key::Key;
use crate::process::remove_tree;

/// What the path of a unix socket can be at most, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// The directory of a running executor. The lock is held until it is dropped.
#[derive(Debug)]
pub(super) struct ExecutorDirectory {
    dir: PathBuf,
    lock: File,
    key: Key,
}

// === impl ExecutorDirectory ===

impl ExecutorDirectory {
    /// Makes the directory if it is not there, and takes its lock.
    pub(super) fn enter(dir: &Path) -> Result<Self, ServeError> {
        let fail = |doing| move |error| ServeError::Directory { doing, error };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(dir).map_err(fail("made"))?;
        std::fs::set_permissions(dir, Permissions::from_mode(0o700))
            .map_err(fail("closed to others"))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let path = dir.join("lock");
        let mut lock = options.mode(0o600).open(path).map_err(fail("locked"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(ServeError::Taken),
            Err(error) => return Err(fail("locked")(error.into())),
        }
        lock.set_len(0).map_err(fail("locked"))?;
        writeln!(lock, "{}", std::process::id()).map_err(fail("locked"))?;
        let key = new_key(dir).map_err(fail("given a key"))?;
        let directory = Self {
            dir: dir.to_owned(),
            lock,
            key,
        };
        let spill = directory.spill();
        remove_tree(&spill).map_err(fail("emptied"))?;
        builder.create(spill).map_err(fail("made"))?;
        Ok(directory)
    }

    /// What a hub has to know to be let in.
    pub(super) fn key(&self) -> Key {
        self.key.clone()
    }

    /// Where output goes that memory has no room for.
    pub(super) fn spill(&self) -> PathBuf {
        self.dir.join("spill")
    }

    /// Opens the socket; one that a dead executor left is removed.
    pub(super) fn listen(&self) -> Result<UnixListener, ServeError> {
        let listen = || {
            let dir = File::open(&self.dir)?;
            let path = socket_path(&self.dir, &dir);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Until the mode is set, the directory's 0700 keeps others away.
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        listen().map_err(ServeError::Socket)
    }

    /// Whether the directory and the lock in it are the ones that were entered. Trouble at looking is no answer.
    pub(super) fn is_ours(&self) -> bool {
        let there = std::fs::metadata(self.dir.join("lock"));
        match (there, self.lock.metadata()) {
            (Ok(there), Ok(ours)) => (there.dev(), there.ino()) == (ours.dev(), ours.ino()),
            (Err(error), _) => error.kind() != io::ErrorKind::NotFound,
            (Ok(_), Err(_)) => true,
        }
    }

    /// Removes the socket: nobody answers there any more.
    pub(super) fn leave(&self) {
        if self.is_ours() {
            // Who finds it gone sees at once what a refused connection would tell; so failing does no harm.
            let _ = std::fs::remove_file(self.dir.join("socket"));
        }
    }
}

/// Writes a new key into the directory, for hubs alone to read.
fn new_key(dir: &Path) -> io::Result<Key> {
    let key = Key::random()?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(dir.join("key"))?;
    file.write_all(key.hand_out().as_bytes())?;
    Ok(key)
}

/// The socket in a directory, by a path that is short enough: through the open directory if need be.
fn socket_path(dir: &Path, open: &File) -> PathBuf {
    let plain = dir.join("socket");
    if plain.as_os_str().len() <= MAX_SOCKET_PATH {
        plain
    } else {
        PathBuf::from(format!("/proc/self/fd/{}/socket", open.as_raw_fd()))
    }
}
