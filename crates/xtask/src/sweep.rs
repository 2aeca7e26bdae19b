//! Nothing that a job started may outlive it. A job's direct children have owners
//! ([`crate::process::Child`]); here is the net below them: the job adopts what its children leave
//! behind (Linux re-parents orphans to the nearest "subreaper") and ends it when it ends itself.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};

use crate::time;

/// Rounds of killing at the end: each uncovers the children of those killed in the one before.
const ROUNDS: u32 = 100;

/// Children that an owner waits for; nobody else may collect their exit status.
static OWNED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Ends, when dropped, every process that is still ours.
pub(crate) struct Leftovers(());

struct Process {
    pid: Pid,
    name: String,
    zombie: bool,
}

// === impl Leftovers ===

impl Leftovers {
    /// From here on orphans of this process become its children.
    pub(crate) fn adopt() -> Self {
        #[cfg(target_os = "linux")]
        if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
            eprintln!("xtask: cannot adopt orphans, some may be left behind: {error}");
        }
        Self(())
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        let mut named = BTreeSet::new();
        for _ in 0..ROUNDS {
            let left = children();
            if left.is_empty() {
                return;
            }
            for process in left {
                if !process.zombie && named.insert(process.pid) {
                    eprintln!(
                        "xtask: ended a leftover process: {} ({})",
                        process.name, process.pid
                    );
                }
                // Either fails only if the process is gone already, which is what we want.
                let _ = kill(process.pid, Signal::SIGKILL);
                let _ = waitpid(process.pid, Some(WaitPidFlag::WNOHANG));
            }
            time::tick();
        }
        eprintln!("xtask: some processes could not be ended");
    }
}

/// Marks a child as waited for by its owner.
pub(crate) fn own(pid: i32) {
    OWNED
        .lock()
        .expect("nobody panics while holding the set")
        .insert(pid);
}

/// The owner has waited: the number may be used by the system again.
pub(crate) fn disown(pid: i32) {
    OWNED
        .lock()
        .expect("nobody panics while holding the set")
        .remove(&pid);
}

/// Buries adopted orphans that have ended: a test that kills a process which outlived its parent
/// waits for that process to be gone, and a zombie is not gone.
pub(crate) fn reap_adopted() {
    if !somebody_ended() {
        return;
    }
    for process in children().into_iter().filter(|process| process.zombie) {
        let owned = OWNED
            .lock()
            .expect("nobody panics while holding the set")
            .contains(&process.pid.as_raw());
        if !owned {
            let _ = waitpid(process.pid, Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// Whether some child waits to be buried. One cheap call, so that waiting costs the tests no time.
#[cfg(target_os = "linux")]
fn somebody_ended() -> bool {
    use nix::sys::wait::{Id, WaitStatus, waitid};
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::All, look), Ok(WaitStatus::StillAlive) | Err(_))
}

/// Elsewhere nothing is adopted.
#[cfg(not(target_os = "linux"))]
fn somebody_ended() -> bool {
    false
}

/// Our direct children. Empty where there is no `/proc`.
fn children() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            parse_stat(pid, &stat, getpid())
        })
        .collect()
}

/// Reads one `/proc/PID/stat` line: `PID (NAME) STATE PARENT …`, where NAME may hold anything.
fn parse_stat(pid: i32, stat: &str, parent: Pid) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_whitespace();
    let zombie = fields.next()? == "Z";
    let its_parent: i32 = fields.next()?.parse().ok()?;
    (its_parent == parent.as_raw()).then(|| Process {
        pid: Pid::from_raw(pid),
        name: name.escape_debug().to_string(),
        zombie,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_children_are_seen_and_names_may_hold_parentheses() {
        let stat = "7 (a) (b) Z 3 7 7";
        let process = parse_stat(7, stat, Pid::from_raw(3)).expect("a child of 3");
        assert_eq!((process.name.as_str(), process.zombie), ("a) (b", true));
        assert!(parse_stat(7, stat, Pid::from_raw(4)).is_none());
    }
}
