//! The folders of executors, and whether who made them is alive.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::ClientError;

/// A folder of an executor.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) id: String,
    pub(super) path: PathBuf,
}

/// Whether the executor of a folder is alive.
pub(super) enum Life {
    /// It holds its lock.
    Alive,
    /// It does not, and as long as this is kept nobody can.
    Dead(Option<File>),
}

/// All folders of executors of a data directory, which is made ready for more.
pub(super) async fn folders(data_dir: &Path) -> Result<Vec<Folder>, ClientError> {
    let path = data_dir.join("executors");
    let listed = blocking({
        let path = path.clone();
        move || list(&path)
    });
    listed
        .await
        .map_err(|source| ClientError::Folder { path, source })
}

/// Asks for the lock of an executor, which a living one keeps.
pub(super) async fn life(folder: &Folder) -> Result<Life, ClientError> {
    let path = folder.path.join("lock");
    let asked = blocking({
        let path = path.clone();
        move || ask(&path)
    });
    asked
        .await
        .map_err(|source| ClientError::Folder { path, source })
}

/// The process that an executor wrote into its lock file, for people.
pub(super) async fn pid(folder: &Folder) -> String {
    let path = folder.path.join("lock");
    let text = blocking(move || std::fs::read_to_string(path))
        .await
        .unwrap_or_default();
    let pid = text.trim().parse::<u32>();
    pid.map_or_else(|_| "unknown".to_owned(), |pid| pid.to_string())
}

/// Does slow work of files where it holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn list(path: &Path) -> io::Result<Vec<Folder>> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // The type of the entry itself: a symlink is never followed.
        if entry.file_type()?.is_dir()
            && let Some(id) = executor_id(entry.file_name())
        {
            folders.push(Folder {
                id,
                path: entry.path(),
            });
        }
    }
    Ok(folders)
}

fn executor_id(name: OsString) -> Option<String> {
    let name = name.into_string().ok()?;
    Uuid::try_parse(&name).is_ok().then_some(name)
}

fn ask(path: &Path) -> io::Result<Life> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Life::Dead(None)),
        opened => opened?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Life::Dead(Some(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Life::Alive),
        Err(error) => Err(error.into()),
    }
}
