//! Control groups v2: which part of the tree is ours to divide, and having the controllers bound what is in it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{geteuid, getpid};

use super::hierarchy::{self, Controller};

/// Where processes go that were in a control group which is to be divided: that one may hold none itself.
const HUB: &str = "hub";
const EXECUTOR: &str = "executor";

/// How often processes that show up meanwhile are moved.
const ROUNDS: usize = 5;

/// The control group in which ours are made: the own one, or the one above it, if it was divided by an executor before
/// and the hub, which started this one, was moved.
pub(super) fn base(own: &Path) -> PathBuf {
    let above = own.parent().filter(|_| own.ends_with(HUB));
    match above.filter(|above| is_delegated(above)) {
        Some(above) => above.to_owned(),
        None => own.to_owned(),
    }
}

/// What of the controllers could be had in `base`, without changing anything.
pub(super) fn offered(base: &Path) -> Vec<Controller> {
    let divided = listed(&base.join("cgroup.subtree_control"));
    if may_divide(base) {
        listed(&base.join("cgroup.controllers"))
    } else {
        divided
    }
}

/// Has the controllers bound what is in `path`, a folder in `base`, and gives those that do.
pub(super) fn enable(base: &Path, path: &Path) -> io::Result<Vec<Controller>> {
    let offered = offered(base);
    if offered.is_empty() {
        return Ok(offered);
    }
    if listed(&base.join("cgroup.subtree_control")) != offered {
        if !is_top(base) {
            make_room(base, path)?;
        }
        switch_on(base, &offered)?;
    } else if in_folder(base)? {
        make_room(base, path)?;
    }
    switch_on(path, &offered)?;
    Ok(listed(&path.join("cgroup.subtree_control")))
}

/// Whether somebody who rules the tree left this part of it to us: systemd by its mark, an administrator by ownership, a
/// container by showing it as the top.
fn is_delegated(base: &Path) -> bool {
    let marked = ["trusted.delegate", "user.delegate"]
        .into_iter()
        .any(|name| {
            let mut value = [0_u8; 8];
            rustix::fs::getxattr(base, name, &mut value)
                .is_ok_and(|len| value.get(..len) == Some(b"1"))
        });
    let user = geteuid();
    let owned = || {
        let owner = fs::metadata(base).map(|about| about.uid());
        !user.is_root() && owner.is_ok_and(|owner| owner == user.as_raw())
    };
    marked || owned() || base.parent().is_some_and(|above| !is_group(above))
}

fn may_divide(base: &Path) -> bool {
    is_top(base) || is_delegated(base)
}

/// The real top of the tree may hold processes and be divided.
fn is_top(base: &Path) -> bool {
    is_group(base) && !base.join("cgroup.type").exists()
}

fn is_group(path: &Path) -> bool {
    path.join("cgroup.procs").exists()
}

fn in_folder(base: &Path) -> io::Result<bool> {
    Ok(!is_top(base) && !fs::read_to_string(base.join("cgroup.procs"))?.is_empty())
}

/// Moves the processes of `base` out: this one to a place of its own, others (the hub) to theirs.
fn make_room(base: &Path, path: &Path) -> io::Result<()> {
    let (own, hub) = (path.join(EXECUTOR), base.join(HUB));
    existing(fs::create_dir(&own))?;
    fs::write(own.join("cgroup.procs"), "0")?;
    let this = getpid().as_raw_nonzero().to_string();
    for _round in 0..ROUNDS {
        let processes = fs::read_to_string(base.join("cgroup.procs"))?;
        let others: Vec<&str> = processes.lines().filter(|pid| *pid != this).collect();
        if others.is_empty() {
            break;
        }
        existing(fs::create_dir(&hub))?;
        for pid in others {
            // It may be gone by now.
            let _gone = fs::write(hub.join("cgroup.procs"), pid);
        }
    }
    Ok(())
}

fn switch_on(dir: &Path, wanted: &[Controller]) -> io::Result<()> {
    let text: Vec<String> = wanted.iter().map(|one| format!("+{one}")).collect();
    fs::write(dir.join("cgroup.subtree_control"), text.join(" "))
}

fn listed(file: &Path) -> Vec<Controller> {
    let mut found = hierarchy::controllers(&fs::read_to_string(file).unwrap_or_default());
    found.sort_by_key(|one| one.name());
    found
}

fn existing(made: io::Result<()>) -> io::Result<()> {
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _there => Ok(()),
    }
}
