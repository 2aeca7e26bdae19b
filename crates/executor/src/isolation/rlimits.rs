//! Bounds that the kernel keeps by process.

use std::fs;
use std::io;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::protocol::Limits;

/// The bound of open files that this process was started with, if it has a higher one now. There is one for the whole
/// process, whoever prepares it.
static GIVEN_FILES: LazyLock<Option<Rlimit>> = LazyLock::new(take_files);

const FILES: &str = "Max open files";

/// How often a process is tried that is not the user's yet, and the time between.
const LOADING: usize = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// Bounds for the processes of one function.
pub(super) struct Bounds {
    /// With their names in `/proc/PID/limits`.
    all: Vec<(Resource, &'static str, Rlimit)>,
    /// Whether the function asks for one of them.
    pub(super) asked_for: bool,
}

/// Prepares this process: it may open as many files as it can get, since each run takes a dozen; and what it starts
/// writes no core files.
pub(super) fn prepare() {
    LazyLock::force(&GIVEN_FILES);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "functions may write core files");
    }
}

fn take_files() -> Option<Rlimit> {
    let given = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: given.maximum,
        ..given
    };
    if given.current == given.maximum {
        return None;
    }
    match setrlimit(Resource::Nofile, all) {
        Ok(()) => Some(given),
        Err(error) => {
            tracing::warn!(%error, "no more files may be open than was given");
            None
        }
    }
}

// === impl Bounds ===

impl Bounds {
    /// `memory` says that no control group bounds the memory: then that which a process can write to is bounded, for
    /// each of them. (The address space is no measure: runtimes such as Node reserve gigabytes that they never use. The
    /// number of processes can be bounded by user only, and not for root: that is left to control groups.)
    pub(super) fn new(limits: &Limits, memory: bool) -> Self {
        let asked = [
            (Resource::Nofile, FILES, limits.open_files),
            (Resource::Fsize, "Max file size", limits.file_bytes),
            (
                Resource::Data,
                "Max data size",
                limits.memory_bytes.filter(|_| memory),
            ),
        ];
        let asked = asked.into_iter();
        let mut all: Vec<_> = asked
            .filter_map(|(resource, name, value)| Some((resource, name, bound(resource, value?))))
            .collect();
        let asked_for = !all.is_empty();
        if limits.open_files.is_none()
            && let Some(given) = *GIVEN_FILES
        {
            all.push((Resource::Nofile, FILES, given));
        }
        Self { all, asked_for }
    }

    /// Whether there is nothing to be set.
    pub(super) fn are_none(&self) -> bool {
        self.all.is_empty()
    }

    /// Sets them on a process; one that is gone is no error. Says whether it did not have all of them before.
    pub(super) fn set(&self, pid: Pid) -> io::Result<bool> {
        let mut changed = false;
        for (resource, name, bound) in &self.all {
            let mut tries = 0;
            let before = loop {
                match prlimit(Some(pid), *resource, *bound) {
                    Err(Errno::SRCH) => return Ok(false),
                    // It took another user since it was started, and has what it inherited.
                    Err(Errno::PERM) if current(pid, name) == Some(*bound) => break *bound,
                    // Its program is being loaded: up to the end of that it could still be root again.
                    Err(Errno::PERM) if tries < LOADING => {
                        tries += 1;
                        thread::sleep(PAUSE);
                    }
                    done => break done?,
                }
            };
            changed |= before != *bound;
        }
        Ok(changed)
    }
}

/// A bound of any process.
fn current(pid: Pid, name: &str) -> Option<Rlimit> {
    let text = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = line.split_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(None),
        word => word.parse().ok().map(Some),
    };
    Some(Rlimit {
        current: next()?,
        maximum: next()?,
    })
}

/// The process may not raise it again. What is above the executor's own bound stays at that.
fn bound(resource: Resource, value: u64) -> Rlimit {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let value = Some(value.min(most));
    Rlimit {
        current: value,
        maximum: value,
    }
}
