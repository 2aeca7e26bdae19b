//! Bounds that the kernel keeps by process.

use std::fs;
use std::io;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tokio::time::Instant;

use crate::protocol::Limits;

/// There is one for the whole process, whoever prepares it.
static RAISED: LazyLock<Option<Raised>> = LazyLock::new(raise_files);

const FILES: &str = "Max open files";

/// Time between two tries with a process that is not the user's yet.
const RETRY_DELAY: Duration = Duration::from_millis(1);

/// Sets a bound of a process with the rights of the function's user.
pub(crate) type AsUser<'a> = &'a dyn Fn(Pid, Resource, Rlimit) -> rustix::io::Result<Rlimit>;

/// Bounds for the processes of one function.
pub(super) struct Bounds {
    /// What the function asks for, with the names in `/proc/PID/limits`.
    pub(super) asked: Vec<(Resource, &'static str, Rlimit)>,
    /// What this process took for itself, if it did, and its children inherit.
    pub(super) raised: Option<Raised>,
    /// Whether they get what was given instead: the function asks for no bound of open files.
    pub(super) gives_back: bool,
}

/// A higher bound of open files than this process was started with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raised {
    pub(super) given: Rlimit,
    /// No bound that a program would give itself: who has it inherited it.
    pub(super) own: Rlimit,
}

/// Who sets bounds on a process, and until when it is tried.
pub(super) struct Setter<'a> {
    pub(super) as_user: AsUser<'a>,
    pub(super) deadline: Instant,
}

/// Prepares this process: it may open as many files as it can get, but one, since each run takes a dozen; and what it
/// starts writes no core files.
pub(super) fn prepare() {
    LazyLock::force(&RAISED);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "functions may write core files");
    }
}

fn raise_files() -> Option<Raised> {
    let given = getrlimit(Resource::Nofile);
    // One less than the highest, which programs take that want all they can get.
    let own = Rlimit {
        current: Some(given.maximum.unwrap_or(u64::MAX).saturating_sub(1)),
        ..given
    };
    if given.current.is_none_or(|files| Some(files) >= own.current) {
        return None;
    }
    match setrlimit(Resource::Nofile, own) {
        Ok(()) => Some(Raised { given, own }),
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
        Self {
            asked: asked
                .filter_map(|(resource, name, value)| {
                    Some((resource, name, bound(resource, value?)))
                })
                .collect(),
            raised: *RAISED,
            gives_back: limits.open_files.is_none(),
        }
    }

    /// Whether the function asks for one of them.
    pub(super) fn are_asked_for(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether there is nothing to be set.
    pub(super) fn are_none(&self) -> bool {
        self.asked.is_empty() && !(self.gives_back && self.raised.is_some())
    }

    /// Sets them on a process that may have tighter ones of its own, which it keeps; one that is gone is no error, nor
    /// is a bound that was not asked for. Returns whether it did not have all of them before.
    pub(super) fn set(&self, pid: Pid, setter: &Setter<'_>) -> io::Result<bool> {
        let mut changed = false;
        for (resource, name, bound) in &self.asked {
            let within = |had| self.within(*resource, *bound, had);
            changed |= setter.set(pid, (*resource, name), within)?;
        }
        if let Some(raised) = self.raised.filter(|_| self.gives_back) {
            let given = |had| if had == raised.own { raised.given } else { had };
            match setter.set(pid, (Resource::Nofile, FILES), given) {
                Ok(done) => changed |= done,
                Err(error) => {
                    let pid = pid.as_raw_pid();
                    tracing::warn!(pid, %error, "a process may open as many files as the executor");
                }
            }
        }
        Ok(changed)
    }

    /// A bound that was asked for, and what a process had before where that is less.
    fn within(&self, resource: Resource, bound: Rlimit, had: Rlimit) -> Rlimit {
        let inherited = self
            .raised
            .is_some_and(|raised| resource == Resource::Nofile && had == raised.own);
        let soft = if inherited { had.maximum } else { had.current };
        Rlimit {
            current: lesser(soft, bound.current),
            maximum: lesser(had.maximum, bound.maximum),
        }
    }
}

// === impl Setter ===

impl Setter<'_> {
    /// Makes of a bound what it is to be. Returns whether it was anything else.
    fn set(
        &self,
        pid: Pid,
        (resource, name): (Resource, &str),
        wanted: impl Fn(Rlimit) -> Rlimit,
    ) -> io::Result<bool> {
        // Who cannot be looked at is taken to have what it inherited.
        let look = || current(pid, name).unwrap_or_else(|| getrlimit(resource));
        // What it gave itself or inherited, and what it has now.
        let mut had = look();
        let mut has = had;
        let mut changed = false;
        loop {
            let new = wanted(had);
            if new == has {
                return Ok(changed);
            }
            match self.try_set(pid, resource, new) {
                Ok(before) => {
                    changed = true;
                    // It gave itself another one since it was looked at, and that counts, unless it does so all the time.
                    if before != has && Instant::now() < self.deadline {
                        had = before;
                    }
                    has = new;
                }
                Err(Errno::SRCH) => return Ok(false),
                // Its program is being loaded: up to the end of that it could still be root again. Or it has tighter
                // ones by now.
                Err(Errno::PERM) if Instant::now() < self.deadline => {
                    thread::sleep(RETRY_DELAY);
                    had = look();
                    has = had;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As the user only where that is needed: processes of the user may signal this thread meanwhile. (Root may do it
    /// for others only with a right of its own.)
    fn try_set(&self, pid: Pid, resource: Resource, new: Rlimit) -> rustix::io::Result<Rlimit> {
        match prlimit(Some(pid), resource, new) {
            Err(Errno::PERM) => (self.as_user)(pid, resource, new),
            done => done,
        }
    }
}

fn lesser(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
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
