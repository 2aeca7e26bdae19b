//! Clearing away what an executor left that died: its function processes, then its folder.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid, getpid};

use super::find::{Folder, blocking};
use crate::isolation;

/// Rounds of looking for leftovers: processes that fork while they are being killed need more than one.
const ROUNDS: u32 = 100;

/// Time for killed processes to disappear before the next round.
const PAUSE: Duration = Duration::from_millis(10);

/// Ends everything that a dead executor left and removes its folder. Says how many processes could not be ended: then
/// the folder stays, so that the next sweep finds them. `_lock` keeps anybody from coming to life there meanwhile.
pub(super) async fn sweep(folder: &Folder, _lock: Option<File>) -> usize {
    let path = folder.path.clone();
    if let Err(error) = blocking(move || isolation::sweep(&path)).await {
        tracing::warn!(executor = %folder.id, %error, "control groups of a dead executor could not be removed");
    }
    let left = kill_marked(format!("TRIPLINE_EXECUTOR={}", folder.id)).await;
    if left > 0 {
        tracing::error!(executor = %folder.id, left, "processes of a dead executor could not be killed");
        return left;
    }
    let path = folder.path.clone();
    if let Err(error) = blocking(move || remove_tree(&path)).await {
        let path = folder.path.display();
        tracing::warn!(%path, %error, "the folder of a dead executor could not be removed");
    }
    0
}

/// Kills every process whose environment holds the variable `mark` (`NAME=value`), again until none is left or the
/// rounds are over. Says how many are left.
async fn kill_marked(mark: String) -> usize {
    let mut left = 0;
    for _ in 0..ROUNDS {
        let mark = mark.clone();
        let search = blocking(move || {
            let found = marked(mark.as_bytes())?;
            for pid in &found {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            Ok(found.len())
        });
        left = match search.await {
            Ok(0) => return 0,
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "processes cannot be listed");
                1
            }
        };
        tokio::time::sleep(PAUSE).await;
    }
    left
}

/// The living processes with the mark, but never this one: those of this user, or of all for root, whose executor can
/// run functions as other users.
fn marked(mark: &[u8]) -> std::io::Result<Vec<Pid>> {
    let (user, own) = (geteuid(), getpid());
    let entries = std::fs::read_dir("/proc")?.filter_map(Result::ok);
    let found = entries.filter_map(|entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
        let reachable = user.is_root() || entry.metadata().ok()?.uid() == user.as_raw();
        if pid == own || !reachable {
            return None;
        }
        // A dead process that nobody has waited for yet has an empty environment: it is not found.
        let environ = std::fs::read(entry.path().join("environ")).ok()?;
        let found = environ.split(|byte| *byte == 0).any(|line| line == mark);
        found.then_some(pid)
    });
    Ok(found.collect())
}

/// Removes a directory with everything in it. Symlinks are removed, never followed.
fn remove_tree(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            open_up(path)?;
            std::fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Gives this user every right to the directories below, which a function may have taken away.
fn open_up(dir: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // The type of the entry itself: a symlink to a directory is not one.
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
