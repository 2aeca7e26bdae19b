//! The scratch directories of processes.
//!
//! Making and removing one costs as much as starting a short process does, so one that was left empty serves the next
//! process of the same function, if nothing of the last can be alive.

use std::collections::HashMap;
use std::fs::{DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags, RawDir, fstat};
use rustix::process::geteuid;
use tokio::task::JoinSet;
use tripline_model::lock;

use super::removal::remove_tree;

/// Empty directories that are kept of one function.
const MAX_SPARE: usize = 64;

/// Spare ones that turned out not to be empty, and are removed at the same time.
const MAX_REMOVALS: usize = 4;

/// Who may do what in one: its user, everything.
const MODE: u32 = 0o700;

/// The scratch directories of an executor.
#[derive(Debug, Default)]
pub(crate) struct Scratches {
    /// How many were made: the next one's name.
    made: AtomicU64,
    /// Empty ones, by the function's folder.
    spare: Mutex<HashMap<PathBuf, Vec<PathBuf>>>,
    /// Spare ones that were not empty any more, on their way out.
    removals: tokio::sync::Mutex<JoinSet<()>>,
}

/// A directory that belongs to one process.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    all: Arc<Scratches>,
}

// === impl Scratches ===

impl Scratches {
    /// An empty directory in `scratch_root`, open to this user only.
    pub(super) async fn take(self: &Arc<Self>, scratch_root: &Path) -> io::Result<Scratch> {
        let path = match self.spare(scratch_root).await {
            Some(path) => path,
            None => self.make(scratch_root)?,
        };
        let all = Arc::clone(self);
        Ok(Scratch { path, all })
    }

    async fn spare(&self, scratch_root: &Path) -> Option<PathBuf> {
        loop {
            let path = self.any_spare(scratch_root)?;
            // Other processes of the function can reach it while it waits.
            if is_new(&path) {
                return Some(path);
            }
            self.remove(path).await;
        }
    }

    fn any_spare(&self, scratch_root: &Path) -> Option<PathBuf> {
        let mut spare = lock(&self.spare);
        spare.get_mut(scratch_root)?.pop()
    }

    /// Removes one, and does not wait for that: there may be a million files in it. Where some are removed already, it
    /// waits until one of them is gone.
    async fn remove(&self, path: PathBuf) {
        let mut removals = self.removals.lock().await;
        while removals.try_join_next().is_some() {}
        if removals.len() >= MAX_REMOVALS {
            removals.join_next().await;
        }
        removals.spawn_blocking(move || remove(&path));
    }

    fn make(&self, scratch_root: &Path) -> io::Result<PathBuf> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = scratch_root.join(number.to_string());
        let make = || DirBuilder::new().mode(MODE).create(&path);
        match make() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_all(scratch_root)?;
                make()?;
            }
            made => made?,
        }
        Ok(path)
    }

    /// Whether there is room for a spare one.
    fn keep(&self, path: &Path) -> bool {
        let Some(scratch_root) = path.parent() else {
            return false;
        };
        let mut spare = lock(&self.spare);
        let spare = spare.entry(scratch_root.to_owned()).or_default();
        let has_room = spare.len() < MAX_SPARE;
        if has_room {
            spare.push(path.to_owned());
        }
        has_room
    }
}

// === impl Scratch ===

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it up. If it is empty and it is `certain` that nothing of its process is alive, another may have it;
    /// otherwise it is removed with all that is in it.
    pub(super) async fn give_up(&self, certain: bool) {
        if certain && is_new(&self.path) && self.all.keep(&self.path) {
            return;
        }
        let path = self.path.clone();
        // An error is a panic, which was told already.
        let _ = tokio::task::spawn_blocking(move || remove(&path)).await;
    }
}

/// Removes one with all that is in it. Blocks.
fn remove(path: &Path) {
    if let Err(error) = remove_tree(path) {
        tracing::warn!(path = %path.display(), %error, "a scratch directory could not be removed");
    }
}

/// Whether a directory is as one that was just made.
fn is_new(path: &Path) -> bool {
    // The entry itself: the process may have put a symbolic link in its place.
    let itself = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(dir) = rustix::fs::open(path, itself, Mode::empty()) else {
        return false;
    };
    let is_ours = fstat(&dir)
        .is_ok_and(|about| about.st_mode & 0o7777 == MODE && about.st_uid == geteuid().as_raw());
    is_ours && is_empty(&dir)
}

/// Whether there is nothing in a directory that was just opened; unreadable counts as not.
fn is_empty(dir: &OwnedFd) -> bool {
    // Twice for every run, so without the 32 KiB that the standard library takes for each.
    let mut room = [MaybeUninit::uninit(); 512];
    let mut entries = RawDir::new(dir, &mut room);
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
            _ => return false,
        }
    }
    true
}

/// Whether `text` names an entry of a directory and nothing else.
pub(super) fn is_file_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    let single = matches!(parts.next(), Some(Component::Normal(part)) if part == text);
    single && parts.next().is_none() && !text.contains('\0')
}

/// Makes a directory and those above it, open to this user only.
pub(super) fn make_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(MODE).create(path)
}

/// Bytes on disk below a directory, counted until they are more than `limit`. A file that was removed but is still open
/// does not count. Folders in folders beyond what a path can name are too much, whatever is in them.
pub(super) fn used_bytes(dir: &Path, limit: u64) -> u64 {
    let mut used = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = std::fs::read_dir(&dir).or_else(|error| {
            // The function may have closed it to hide what is in it.
            if error.kind() == ErrorKind::PermissionDenied {
                std::fs::set_permissions(&dir, Permissions::from_mode(MODE))?;
            }
            std::fs::read_dir(&dir)
        });
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::InvalidFilename => {
                return limit.saturating_add(1);
            }
            Err(_) => continue,
        };
        for entry in entries.filter_map(Result::ok) {
            let Ok(about) = entry.metadata() else {
                continue;
            };
            used += about.blocks() * 512;
            if used > limit {
                return used;
            }
            if about.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// The only thread for what blocks is taken, so nothing of it is done until it is free.
    #[test]
    fn what_others_filled_holds_no_start_up() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build();
        let scratch_root = tempfile::tempdir().unwrap();
        runtime.unwrap().block_on(async {
            let (free, waits) = sync_channel::<()>(0);
            let taken = tokio::task::spawn_blocking(move || waits.recv().is_err());
            let scratches = Arc::<Scratches>::default();
            let fill = async |scratch: Scratch| {
                scratch.give_up(true).await;
                std::fs::write(scratch.path().join("left"), "").unwrap();
                scratch
            };
            let mut all = Vec::new();
            for _ in 0..MAX_REMOVALS {
                all.push(scratches.take(scratch_root.path()).await.unwrap());
            }
            let mut filled = Vec::new();
            for scratch in all {
                filled.push(fill(scratch).await);
            }
            let start = scratches.take(scratch_root.path());
            let next = timeout(Duration::from_secs(10), start).await;
            let next = next.expect("it waits").unwrap();
            assert!(is_new(next.path()));
            assert!(filled.iter().all(|scratch| scratch.path().exists()));
            // One more than are removed at the same time.
            fill(next).await;
            let mut start = std::pin::pin!(scratches.take(scratch_root.path()));
            assert!(
                timeout(Duration::from_millis(50), &mut start)
                    .await
                    .is_err()
            );
            drop(free);
            let last = start.await.unwrap();
            while scratches.removals.lock().await.join_next().await.is_some() {}
            let left: Vec<_> = std::fs::read_dir(scratch_root.path())
                .unwrap()
                .flatten()
                .collect();
            assert!(left.len() == 1 && left[0].path() == last.path(), "{left:?}");
            assert!(taken.await.unwrap());
        });
    }
}
