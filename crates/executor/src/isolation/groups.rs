//! The processes of one run or instance, held together by the kernel.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use tokio::time::Instant;

use crate::protocol::Limits;

use super::group::{Group, members};
use super::hierarchy::Version;
use super::pool::GroupPool;

/// How often children that were started meanwhile are looked for when a process is put into its groups.
const MOVES: usize = 5;

/// How often processes are looked for with which nothing was done yet, also when the time for that is over.
const FORK_CHECKS: usize = 5;

/// Time between two looks at a process that may still be within a fork that it began before.
const FORK_CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// The processes of one run or instance, held together by the kernel where it can. Without any control group every
/// answer is `None` or `false`, and the tree has to be ended by process group and marks.
pub(crate) struct Groups {
    pool: Arc<GroupPool>,
    all: Vec<Group>,
    reusable: bool,
    born_inside: AtomicBool,
    killed: AtomicBool,
}

/// While it lives, the thread that made it is inside the groups.
pub(crate) struct Inside<'a> {
    groups: &'a Groups,
}

// === impl Groups ===

impl Groups {
    pub(super) fn new(pool: &Arc<GroupPool>, name: &str, limits: &Limits) -> io::Result<Self> {
        let (all, reusable) = pool.groups(name, limits)?;
        Ok(Self {
            pool: Arc::clone(pool),
            all,
            reusable,
            born_inside: AtomicBool::new(false),
            killed: AtomicBool::new(false),
        })
    }

    /// Puts the calling thread into them until the guard is dropped, so that what it starts meanwhile is born inside:
    /// `let inside = groups.enter()?; let child = command.spawn(); drop(inside);` on a spawner's thread, restricted or not.
    /// 7 us and no gap with control groups v1; nothing with v2, which cannot move threads: `add` is for that. Inside, the
    /// thread counts as one of the processes, and shares their processor time: stay no longer than it takes to start one.
    pub(crate) fn enter(&self) -> io::Result<Inside<'_>> {
        let inside = Inside { groups: self };
        for group in &self.all {
            group.bound_pids(1)?;
            group.enter()?;
        }
        self.born_inside.store(true, Ordering::Relaxed);
        Ok(inside)
    }

    /// Puts a process that was just started into them, with children that it already has; nothing if it was born inside.
    /// What fails with one keeps nothing from the others. Call it always, after `enter`'s guard is dropped and before
    /// anybody may reap the process (its number could be another's then). With v2 it takes 10 us on a busy machine and
    /// up to 20 ms on an idle one, during which the process runs. One that is gone is no error.
    pub(crate) fn add(&self, pid: Pid) -> io::Result<()> {
        let mut first = Ok(());
        let born_inside = self.born_inside.load(Ordering::Relaxed);
        let unmoved = |group: &&Group| group.version == Version::V2 || !born_inside;
        for group in self.all.iter().filter(unmoved) {
            let mut moved = Vec::new();
            for _round in 0..MOVES {
                let tree = tree(pid);
                let new: Vec<Pid> = tree
                    .into_iter()
                    .filter(|one| !moved.contains(one))
                    .collect();
                if new.is_empty() {
                    break;
                }
                for one in new {
                    for id in ids(group.version, one) {
                        first = first.and(group.take(id));
                    }
                    moved.push(one);
                }
            }
        }
        first
    }

    /// Whether the whole tree is held from its birth, so that nothing of it can be outside. What started a daemon before
    /// it was put into a group of v2 left that daemon outside: there, look for marks, too.
    pub(crate) fn is_certain(&self) -> bool {
        self.birthplace().is_some()
    }

    /// Kills everything in them. Call again while `is_empty` is `Some(false)`.
    pub(crate) fn kill_all(&self) {
        self.killed.store(true, Ordering::Relaxed);
        if let Some(group) = self.ender() {
            group.kill();
        }
    }

    /// Whether nothing is alive in them; `None` when nobody can tell.
    pub(crate) fn is_empty(&self) -> Option<bool> {
        self.ender().map(Group::is_empty)
    }

    /// The most memory used in them at a time, in bytes, files that were read or written included.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.all.iter().find_map(Group::peak_memory)
    }

    /// Whether the kernel killed in them because of the memory limit.
    pub(crate) fn memory_exceeded(&self) -> bool {
        self.all.iter().any(Group::memory_exceeded)
    }

    /// Gives them back. Call when they are empty; what is not is killed, and removed later. Dropping does the same.
    pub(crate) fn remove(self) {}

    /// Where they are.
    #[cfg(test)]
    pub(super) fn folders(&self) -> impl Iterator<Item = &std::path::Path> {
        self.all.iter().map(|group| group.dir.as_path())
    }

    /// Does something that is inherited with a process that was just started, and with all that it started before that.
    /// Call it outside of the groups. `act` says whether it changed anything. What fails with one keeps nothing from the
    /// others. Where it is `thorough`, processes that are just being forked are waited for, up to the deadline.
    pub(crate) fn each(
        &self,
        pid: Pid,
        thorough: bool,
        deadline: Instant,
        act: impl Fn(Pid) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut first = act(pid).map(drop);
        let mut seen = HashSet::from([pid]);
        let mut changed = vec![pid];
        let mut looks = 0;
        while looks < FORK_CHECKS || Instant::now() < deadline {
            if self.is_single() && !(thorough && looks == 0) {
                return first;
            }
            if thorough {
                // The rest is for those that are found then.
                let half = deadline.saturating_duration_since(Instant::now()) / 2;
                let until = Instant::now() + half;
                changed.iter().for_each(|one| let_forks_end(*one, until));
            }
            looks += 1;
            changed.clear();
            for one in self.processes(pid) {
                if seen.insert(one) {
                    match act(one) {
                        Ok(true) => changed.push(one),
                        Ok(false) => {}
                        Err(error) => first = first.and(Err(error)),
                    }
                }
            }
            if changed.is_empty() {
                return first;
            }
        }
        first.and(Err(io::Error::other(
            "it starts processes faster than they can be found",
        )))
    }

    /// Whether one process alone is inside, for certain.
    pub(super) fn is_single(&self) -> bool {
        self.birthplace().and_then(Group::count) == Some(1)
    }

    /// The processes of the tree of one that was just started: all, where they are born inside; otherwise those that can
    /// be found as its children.
    fn processes(&self, pid: Pid) -> Vec<Pid> {
        let members = self.birthplace().and_then(|group| members(&group.dir));
        match members {
            Some(all) => all.into_iter().filter_map(Pid::from_raw).collect(),
            None => tree(pid),
        }
    }

    /// The control group in which every process of the tree is from its birth, if there is one.
    fn birthplace(&self) -> Option<&Group> {
        let born_inside = self.born_inside.load(Ordering::Relaxed);
        self.ender()
            .filter(|group| born_inside && group.version == Version::V1)
    }

    fn ender(&self) -> Option<&Group> {
        self.all.iter().find(|group| group.ends)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        if self.is_empty() != Some(true) {
            self.kill_all();
        }
        let all = std::mem::take(&mut self.all);
        let killed = self.killed.load(Ordering::Relaxed);
        self.pool.give_back(all, self.reusable && !killed);
    }
}

// === impl Inside ===

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.groups.pool.leave();
        if self.groups.killed.load(Ordering::Relaxed) {
            return;
        }
        for group in &self.groups.all {
            if let Err(error) = group.bound_pids(0) {
                tracing::error!(%error, "the number of processes could not be bounded");
            }
        }
    }
}

/// Waits until a process cannot be within a fork any more that it began before this call: each of its threads was seen
/// asleep, or the time for that is over. What such a fork makes shows up at its end.
fn let_forks_end(pid: Pid, deadline: Instant) {
    for id in ids(Version::V1, pid) {
        let (pid, id) = (pid.as_raw_nonzero(), id.as_raw_nonzero());
        let path = format!("/proc/{pid}/task/{id}/stat");
        let is_busy = || {
            let stat = fs::read_to_string(&path).unwrap_or_default();
            // The name before may hold anything. Waiting for a disk is part of a fork, too.
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
            state.is_some_and(|state| state.starts_with(['R', 'D']))
        };
        while is_busy() && Instant::now() < deadline {
            thread::sleep(FORK_CHECK_INTERVAL);
        }
    }
}

/// A process and those it started, as far as they are still its own.
pub(super) fn tree(pid: Pid) -> Vec<Pid> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        for thread in ids(Version::V1, parent) {
            let (parent, thread) = (parent.as_raw_nonzero(), thread.as_raw_nonzero());
            let path = format!("/proc/{parent}/task/{thread}/children");
            let text = fs::read_to_string(path).unwrap_or_default();
            let children = text.split(' ').filter_map(|raw| raw.parse().ok());
            found.extend(children.filter_map(Pid::from_raw));
        }
    }
    found
}

/// What is moved to move a process: itself, or with v1 each thread.
fn ids(version: Version, pid: Pid) -> Vec<Pid> {
    if version == Version::V2 {
        return vec![pid];
    }
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    let names = threads.into_iter().flatten().flatten();
    let raw = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    raw.filter_map(Pid::from_raw).collect()
}
