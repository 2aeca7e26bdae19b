//! Ends and removes what an executor left in the control groups, by the record in its directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::statfs;

use super::group;

/// What the names of all folders of ours start with.
pub(super) const PREFIX: &str = "tripline-";

/// The file of an executor's directory that names the folders it made, one a line.
const RECORD: &str = "cgroups";

/// `f_type` of the two kinds of control groups.
const FILE_SYSTEMS: [u64; 2] = [0x0027_e0eb, 0x6367_7270];

/// Killed processes take a moment to go: so often is a folder tried again, after so long.
const MAX_REMOVE_ATTEMPTS: usize = 1000;
const REMOVE_RETRY_DELAY: Duration = Duration::from_millis(10);

pub(super) fn record(executor_dir: &Path) -> PathBuf {
    executor_dir.join(RECORD)
}

/// Writes down a folder that is about to be made.
pub(super) fn note(record: &Path, path: &Path) -> io::Result<()> {
    let mut options = File::options();
    // Its folders are removed with all that is in them: nobody else may add to it, whatever the umask.
    options.append(true).create(true).mode(0o600);
    let mut file = options.open(record)?;
    writeln!(file, "{}", path.display())
}

/// Ends everything in the folders that are on record, and removes them; and the record, if nothing is left of them.
pub(super) fn sweep(executor_dir: &Path) -> io::Result<()> {
    let record = record(executor_dir);
    let text = match fs::read_to_string(&record) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // What one of them holds must not spare the others.
    let mut cleared = Ok(());
    for path in text.lines().map(Path::new).filter(|path| is_ours(path)) {
        cleared = cleared.and(clear(path));
    }
    cleared?;
    fs::remove_file(record)
}

/// A record that was tampered with must not have us kill elsewhere.
fn is_ours(path: &Path) -> bool {
    let named = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(PREFIX));
    let kind = || statfs(path).is_ok_and(|about| FILE_SYSTEMS.contains(&(about.f_type as u64)));
    named && path.is_absolute() && kind()
}

fn clear(path: &Path) -> io::Result<()> {
    let mut last = Ok(());
    for _try in 0..MAX_REMOVE_ATTEMPTS {
        kill(path);
        last = remove(path);
        if last.is_ok() {
            return last;
        }
        thread::sleep(REMOVE_RETRY_DELAY);
    }
    last
}

fn kill(path: &Path) {
    // With v2 this ends the whole tree at once.
    if path.join("cgroup.kill").exists() && fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for folder in folders(path).iter().chain([&path.to_owned()]) {
        let _without_pids = fs::write(folder.join("pids.max"), "0");
        group::kill_folder(folder);
    }
}

/// Removes a folder and those in it; there are at most two levels.
fn remove(path: &Path) -> io::Result<()> {
    for folder in folders(path) {
        gone(fs::remove_dir(folder))?;
    }
    gone(fs::remove_dir(path))
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _gone => Ok(()),
    }
}
