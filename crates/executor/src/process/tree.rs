//! Ending everything that belongs to a run: by control group where there is one, its process group by signal, and what
//! left the group by the mark in its environment.
//!
//! A process can leave its group (`setsid`), but it cannot change the environment it was started with, as the kernel
//! shows it in `/proc/PID/environ`, without effort. One that does (by `execve` with another environment, or by writing
//! over its own) is found by its control group alone.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, geteuid, getpid, kill_process, kill_process_group,
    test_kill_process_group, waitpgid,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tripline_model::lock;

use super::family;
use crate::isolation::Groups;

/// Time for killed processes to disappear before they are looked for again: at first, and at most.
const KILL_INTERVALS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// A process and all that it started.
pub(super) struct Tree {
    /// The main process, which leads the group.
    leader: Pid,
    /// `NAME=value` of the variable that all of its processes have, and no others.
    mark: Vec<u8>,
    groups: Mutex<Option<Groups>>,
    /// Whether everything that carries the mark has to be looked for.
    suspect: AtomicBool,
    /// Whether the main process was waited for.
    waited: AtomicBool,
    /// Whether its group was empty after that: from then on its number may be anybody's.
    group_gone: AtomicBool,
    killed: CancellationToken,
    killed_at: OnceLock<Instant>,
}

// === impl Tree ===

impl Tree {
    pub(super) fn new(leader: Pid, mark: Vec<u8>, groups: Groups) -> Self {
        Self {
            leader,
            mark,
            groups: Mutex::new(Some(groups)),
            suspect: AtomicBool::new(false),
            waited: AtomicBool::new(false),
            group_gone: AtomicBool::new(false),
            killed: CancellationToken::new(),
            killed_at: OnceLock::new(),
        }
    }

    /// Sends SIGTERM to the group.
    pub(super) fn request_stop(&self) {
        self.suspect();
        if !self.waited.load(Ordering::SeqCst) {
            self.reach_group(Some(Signal::TERM));
        }
    }

    /// Kills the group, and everything where that is certain.
    pub(super) fn kill(&self) {
        self.suspect();
        self.reach_group(Some(Signal::KILL));
        self.with_groups(Groups::kill_all);
        self.killed_at.get_or_init(Instant::now);
        self.killed.cancel();
    }

    /// The main process was waited for.
    pub(super) fn main_is_over(&self) {
        self.waited.store(true, Ordering::SeqCst);
        // At once: most are alone in their group, and then the number may soon be another's.
        self.reach_group(None);
    }

    /// Waits until `time` has gone by since the first kill.
    pub(super) async fn killed_for(&self, time: Duration) {
        self.killed.cancelled().await;
        let at = *self.killed_at.get_or_init(Instant::now);
        tokio::time::sleep_until(at + time).await;
    }

    /// From now on it is not believed that all processes stayed in the group.
    pub(super) fn suspect(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// Kills all of it again and again until nothing is alive or `within` is over. Returns whether nothing is. The main
    /// process was waited for, or counts as alive.
    pub(super) async fn end(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut pause = KILL_INTERVALS[0];
        loop {
            if self.is_gone().await {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(KILL_INTERVALS[1]);
        }
    }

    /// One round of killing: whether nobody was there to be killed.
    async fn is_gone(&self) -> bool {
        let group_gone = self.is_group_gone();
        let groups_gone = self.with_groups(|groups| match groups.is_empty() {
            Some(false) => {
                groups.kill_all();
                Some(groups.is_empty() == Some(true))
            }
            empty => empty,
        });
        let certain = self.is_certain();
        match groups_gone.flatten() {
            Some(gone) if certain => gone && group_gone,
            gone => {
                let marked_gone = !self.suspect.load(Ordering::Relaxed) || self.kill_marked().await;
                marked_gone && group_gone && gone != Some(false)
            }
        }
    }

    /// Kills the group, and waits for the dead in it that became this process's children.
    fn is_group_gone(&self) -> bool {
        if !self.reach_group(Some(Signal::KILL)) {
            return true;
        }
        if !self.waited.load(Ordering::SeqCst) {
            return false;
        }
        while let Ok(Some(_)) = waitpgid(self.leader, WaitOptions::NOHANG) {}
        !self.reach_group(Some(Signal::KILL))
    }

    /// Signals the group, if with anything, and returns whether anybody is in it. Who was gone once is not reached
    /// again: the number may be that of a stranger.
    fn reach_group(&self, signal: Option<Signal>) -> bool {
        if self.group_gone.load(Ordering::SeqCst) {
            return false;
        }
        let reached = match signal {
            Some(signal) => kill_process_group(self.leader, signal),
            None => test_kill_process_group(self.leader),
        };
        let gone = reached == Err(Errno::SRCH);
        if gone {
            self.group_gone.store(true, Ordering::SeqCst);
        }
        !gone
    }

    async fn kill_marked(&self) -> bool {
        let mark = self.mark.clone();
        let search = tokio::task::spawn_blocking(move || {
            // An error is no answer: they may all be there.
            kill_marked(&mark).is_ok_and(|found| found == 0)
        });
        search.await.unwrap_or(false)
    }

    /// Whether nothing can have escaped.
    pub(super) fn is_certain(&self) -> bool {
        self.with_groups(Groups::is_certain) == Some(true)
    }

    pub(super) fn peak_memory(&self) -> Option<u64> {
        self.with_groups(Groups::peak_memory).flatten()
    }

    pub(super) fn memory_exceeded(&self) -> bool {
        self.with_groups(Groups::memory_exceeded) == Some(true)
    }

    /// Gives back what is left of it. Once, when it is gone.
    pub(super) fn remove(&self) {
        if let Some(groups) = self.lock().take() {
            groups.remove();
            family::remove_mark(&self.mark);
        }
    }

    fn with_groups<T>(&self, ask: impl FnOnce(&Groups) -> T) -> Option<T> {
        self.lock().as_ref().map(ask)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Groups>> {
        lock(&self.groups)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What was not waited for is killed and removed by whoever keeps the groups.
        self.remove();
    }
}

/// Kills every process with the mark, and returns how many there were.
pub(crate) fn kill_marked(mark: &[u8]) -> io::Result<usize> {
    let found = marked(mark)?;
    for pid in &found {
        let _ = kill_process(*pid, Signal::KILL);
    }
    Ok(found.len())
}

/// The living processes with the mark, but never this one: those of this user, or of all for root, whose executor can
/// run functions as other users.
pub(super) fn marked(mark: &[u8]) -> io::Result<Vec<Pid>> {
    let (user, own) = (geteuid(), getpid());
    let entries = std::fs::read_dir("/proc")?.filter_map(Result::ok);
    let found = entries.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let mine = user.is_root() || entry.metadata().ok()?.uid() == user.as_raw();
        let is_marked = || {
            environ(pid)
                .split(|byte| *byte == 0)
                .any(|line| line == mark)
        };
        Pid::from_raw(pid).filter(|pid| *pid != own && mine && is_marked())
    });
    Ok(found.collect())
}

/// The environment of a process, as it was started with it. A dead process that nobody has waited for yet has none.
pub(super) fn environ(pid: i32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}
