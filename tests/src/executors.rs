//! The executors of a hub under test, and the processes of its functions, as the kernel shows them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Hub;

/// An executor that has a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executor {
    /// Its directory.
    pub dir: PathBuf,
    /// Its process.
    pub pid: i32,
}

// === impl Hub ===

impl Hub {
    /// The executors that have a directory and a living process.
    pub fn executors(&self) -> Vec<Executor> {
        let Ok(entries) = fs::read_dir(self.path("data/executors")) else {
            return Vec::new();
        };
        let executor = |dir: PathBuf| {
            let text = fs::read_to_string(dir.join("lock")).ok()?;
            let pid = text.trim().parse().ok()?;
            is_alive(pid).then_some(Executor { dir, pid })
        };
        let dirs = entries.filter_map(|entry| Some(entry.ok()?.path()));
        dirs.filter_map(executor).collect()
    }

    /// The living instances of a worker function: what an executor itself started for it.
    pub fn instances(&self, function: &str) -> Vec<i32> {
        let of_one = |executor: Executor| {
            let scratch = executor.dir.join("scratch").join(function);
            let mark = format!("TRIPLINE_SCRATCH={}/", scratch.display());
            let marked = processes_with(&mark).into_iter();
            marked.filter(move |pid| parent(*pid) == Some(executor.pid))
        };
        self.executors().into_iter().flat_map(of_one).collect()
    }
}

// === impl Executor ===

impl Executor {
    /// `kill -9`.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid), signal).expect("the executor is there");
    }

    /// Bytes of memory it holds.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}

/// Whether there is such a process, and it is no zombie.
pub fn is_alive(pid: i32) -> bool {
    let state = stat(pid).and_then(|stat| stat.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.split(' ').nth(1)?.parse().ok()
}

/// What the kernel says of a process, from its state on: the name before it may hold anything but stands in brackets.
fn stat(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.to_owned())
}

/// The RequestIds of which a process is alive, by the environment that it was started with.
pub fn request_ids_alive() -> BTreeSet<String> {
    let environments = pids().filter_map(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        // Read before: one that is dead by now shows nothing.
        is_alive(pid).then_some(environment)
    });
    let mut ids = BTreeSet::new();
    for environment in environments {
        let text = String::from_utf8_lossy(&environment);
        let mut variables = text.split('\0');
        let id = variables.find_map(|one| one.strip_prefix("TRIPLINE_REQUEST_ID="));
        ids.extend(id.map(str::to_owned));
    }
    ids
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("there is /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The living processes whose environment or command line holds `mark`.
pub fn processes_with(mark: &str) -> Vec<i32> {
    let holds = |pid: &i32| {
        ["environ", "cmdline"].iter().any(|file| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(mark)
        })
    };
    pids().filter(|pid| is_alive(*pid)).filter(holds).collect()
}
