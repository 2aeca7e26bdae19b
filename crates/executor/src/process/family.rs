//! Which processes are the executor's own, and what becomes of the orphans of its runs.
//!
//! The executor adopts orphans (`PR_SET_CHILD_SUBREAPER`): a process whose parent ended becomes its child, whatever
//! group or session it moved to. Dead ones have to be waited for; living ones whose run is over are ended. Who belongs
//! to the executor is a matter of the whole process, so it is kept in one place for all.
//!
//! An orphan that left its group, started a program with another environment, and is in no control group cannot be told
//! from others: where there are no control groups, such a process lives on as a child of the executor.

use std::collections::HashSet;
use std::process::ExitStatus;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tripline_model::lock;

use super::environment::{EXECUTOR, MARK};
use super::tree;

/// Time between two looks at the children.
const CHILDREN_CHECK_INTERVAL: Duration = Duration::from_secs(1);

static FAMILY: LazyLock<Mutex<Family>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Family {
    /// Processes that somebody here waits for.
    children: HashSet<i32>,
    /// Marks of what is not over.
    marks: HashSet<Vec<u8>>,
}

/// Makes orphans of this process's descendants its own children.
pub(super) fn become_subreaper() -> std::io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(Into::into)
}

/// Waits for adopted children that are dead, and ends those whose run is over. For ever: run it as long as the executor
/// lives. Nothing else in the process may start children and leave them unwaited for longer than a second.
pub(crate) async fn tend_orphans(executor_id: String) {
    let mut strangers = HashSet::new();
    let mark = format!("{EXECUTOR}={executor_id}");
    loop {
        tokio::time::sleep(CHILDREN_CHECK_INTERVAL).await;
        let (before, mark) = (std::mem::take(&mut strangers), mark.clone());
        let look = tokio::task::spawn_blocking(move || tend(&before, mark.as_bytes()));
        strangers = look.await.unwrap_or_default();
    }
}

pub(super) fn add_child(pid: Pid) {
    family().children.insert(pid.as_raw_pid());
}

/// Takes a child's end, if `look` finds one, and forgets the child in the same moment: the next child may get its number
/// at once, and is added after that.
pub(super) fn take_end(pid: Pid, look: impl FnOnce() -> Option<ExitStatus>) -> Option<ExitStatus> {
    let mut family = family();
    let end = look()?;
    family.children.remove(&pid.as_raw_pid());
    Some(end)
}

/// Nobody here waits for it any more.
pub(super) fn remove_child(pid: Pid) {
    family().children.remove(&pid.as_raw_pid());
}

#[cfg(test)]
pub(super) fn has_child(pid: Pid) -> bool {
    family().children.contains(&pid.as_raw_pid())
}

pub(super) fn add_mark(mark: &[u8]) {
    family().marks.insert(mark.to_owned());
}

pub(super) fn remove_mark(mark: &[u8]) {
    family().marks.remove(mark);
}

fn family() -> MutexGuard<'static, Family> {
    lock(&FAMILY)
}

/// One look. Only strangers that were there in the look `before` are touched: a child that was just started is not
/// known yet. Returns who the strangers are.
fn tend(before: &HashSet<i32>, executor: &[u8]) -> HashSet<i32> {
    let mut strangers = children();
    {
        let family = family();
        strangers.retain(|pid| !family.children.contains(pid));
    }
    let again: Vec<i32> = strangers.intersection(before).copied().collect();
    for pid in again.into_iter().filter_map(Pid::from_raw) {
        match waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(None) if is_over(pid, executor) => {
                let _ = kill_process(pid, Signal::KILL);
            }
            Ok(None) => {}
            // The next child may get its number.
            _gone => {
                strangers.remove(&pid.as_raw_pid());
            }
        }
    }
    strangers
}

/// Whether a living process has this executor's mark and that of a run which is over.
fn is_over(pid: Pid, executor: &[u8]) -> bool {
    let variables = tree::environ(pid.as_raw_pid());
    let mark = variables.split(|byte| *byte == 0).find(|line| {
        line.strip_prefix(MARK.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="))
    });
    let ours = variables
        .split(|byte| *byte == 0)
        .any(|line| line == executor);
    ours && mark.is_some_and(|mark| !family().marks.contains(mark))
}

/// All children of this process, dead ones too.
fn children() -> HashSet<i32> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return HashSet::new();
    };
    threads
        .filter_map(Result::ok)
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|pids| {
            pids.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
