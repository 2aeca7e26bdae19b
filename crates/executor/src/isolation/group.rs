//! One control group of one run or instance: its limits, who is in it, and what the kernel tells of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::protocol::Limits;

use super::hierarchy::{Controller, Version};
use super::pool::Parent;

/// The period in which a share of the processors is given out, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// Memory that a finished run may leave counted (files it read) in a group that is used again.
const LEFTOVER: u64 = 1 << 20;

/// How often processes that fork while they are killed are looked for again.
const ROUNDS: usize = 50;

/// A control group of one run or instance. The files are opened beforehand: a restricted thread could not.
pub(super) struct Group {
    pub(super) version: Version,
    pub(super) ends: bool,
    pub(super) dir: PathBuf,
    /// The most memory used; with v1 it can be set back. Open, as it is read for every run.
    peak: Option<File>,
    /// With v1: how many there are, those included that are dead but not waited for.
    count: Option<File>,
    /// Takes processes (v2) or threads (v1).
    entry: File,
    /// Bounds the processes, where that is this group's part.
    pids: Option<File>,
    pids_limit: Option<u64>,
    /// What the kernel tells of its kills for want of memory, with a limit of its own. Open, like `peak`.
    kills: Option<File>,
}

// === impl Group ===

impl Group {
    pub(super) fn new(parent: &Parent, name: &str, limits: &Limits) -> io::Result<Self> {
        let dir = parent.path.join(name);
        fs::create_dir(&dir)?;
        Self::in_folder(parent, dir.clone(), limits).inspect_err(|_error| {
            let _gone = fs::remove_dir(&dir);
        })
    }

    fn in_folder(parent: &Parent, dir: PathBuf, limits: &Limits) -> io::Result<Self> {
        let has = |controller| parent.controllers.contains(&controller);
        if let Some(bytes) = limits.memory_bytes.filter(|_| has(Controller::Memory)) {
            bound_memory(parent.version, &dir, bytes)?;
        }
        if let Some(millis) = limits.cpu_millis.filter(|_| has(Controller::Cpu)) {
            bound_cpu(parent.version, &dir, millis)?;
        }
        let entry = match parent.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        };
        let writable = |file: &str| File::options().write(true).open(dir.join(file));
        let kills = match parent.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let memory_limited = limits.memory_bytes.is_some() && has(Controller::Memory);
        let group = Self {
            version: parent.version,
            ends: parent.ends,
            peak: has(Controller::Memory)
                .then(|| open_peak(parent.version, &dir))
                .flatten(),
            count: File::open(dir.join("pids.current"))
                .ok()
                .filter(|_| parent.version == Version::V1),
            entry: writable(entry)?,
            pids: has(Controller::Pids)
                .then(|| writable("pids.max"))
                .transpose()?,
            pids_limit: limits.pids,
            kills: File::open(dir.join(kills)).ok().filter(|_| memory_limited),
            dir,
        };
        group.bound_pids(1)?;
        Ok(group)
    }

    /// Puts the calling thread into it, which only v1 can.
    pub(super) fn enter(&self) -> io::Result<()> {
        match self.version {
            Version::V1 => (&self.entry).write_all(b"0"),
            Version::V2 => Ok(()),
        }
    }

    /// Sets the bound for processes. With v1 the thread that starts the first one is inside with it, and counts: `more`.
    pub(super) fn bound_pids(&self, more: u64) -> io::Result<()> {
        let Some((mut file, limit)) = self.pids.as_ref().zip(self.pids_limit) else {
            return Ok(());
        };
        let more = match self.version {
            Version::V1 => more,
            Version::V2 => 0,
        };
        file.write_all(
            (limit.saturating_add(more))
                .min(1 << 22)
                .to_string()
                .as_bytes(),
        )
    }

    /// Takes a process, or with v1 one thread.
    pub(super) fn take(&self, id: Pid) -> io::Result<()> {
        let id = id.as_raw_nonzero().to_string();
        match (&self.entry).write_all(id.as_bytes()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                Err(error)
            }
            _taken_or_gone => Ok(()),
        }
    }

    /// Kills all that is in it.
    pub(super) fn kill(&self) {
        if self.version == Version::V2 && fs::write(self.dir.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Who may not fork cannot outrun us.
        let _not_bounded = self.pids.as_ref().map(|mut file| file.write_all(b"0"));
        kill_folder(&self.dir);
    }

    /// With v1: how many processes and threads are in it, the dead included that nobody waited for.
    pub(super) fn count(&self) -> Option<u64> {
        number(self.count.as_ref()?)
    }

    /// Whether nobody is in it; unreadable counts as not.
    pub(super) fn is_empty(&self) -> bool {
        match self.version {
            // The list of members is dear.
            Version::V1 if self.count() == Some(0) => true,
            Version::V1 => members(&self.dir).is_some_and(|all| all.is_empty()),
            Version::V2 => {
                let events = fs::read_to_string(self.dir.join("cgroup.events")).ok();
                events.and_then(|events| value(&events, "populated")) == Some(0)
            }
        }
    }

    /// The most memory used at a time, in bytes.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        number(self.peak.as_ref()?)
    }

    /// Whether the kernel killed in it for want of memory, while it has a limit of its own.
    pub(super) fn memory_exceeded(&self) -> bool {
        let events = self.kills.as_ref().and_then(text);
        events
            .and_then(|events| value(&events, "oom_kill"))
            .unwrap_or(0)
            > 0
    }

    /// Makes an empty one as good as new, if that is cheap. It had no limits, and nobody was killed in it.
    pub(super) fn renewed(&self) -> bool {
        match (self.version, self.peak.as_ref()) {
            (_any, None) => true,
            // There it cannot be set back.
            (Version::V2, Some(_peak)) => false,
            (Version::V1, Some(peak)) => {
                // Back to what is used now.
                let set_back = peak.write_at(b"0", 0).is_ok();
                set_back && number(peak).is_some_and(|left| left < LEFTOVER)
            }
        }
    }

    /// Removes it; `false` as long as somebody is in it.
    pub(super) fn removed(&self) -> bool {
        match fs::remove_dir(&self.dir) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// Kills the members of one folder until no new ones show up.
pub(super) fn kill_folder(dir: &Path) {
    let mut seen = BTreeSet::new();
    for _round in 0..ROUNDS {
        let all = members(dir).unwrap_or_default();
        if all.is_subset(&seen) {
            return;
        }
        for pid in all.iter().filter_map(|raw| Pid::from_raw(*raw)) {
            let _gone = kill_process(pid, Signal::KILL);
        }
        seen.extend(all);
    }
}

/// The processes of a folder, without this one, whose threads may be in it for a moment.
pub(super) fn members(dir: &Path) -> Option<BTreeSet<i32>> {
    let own = getpid().as_raw_nonzero().get();
    let text = fs::read_to_string(dir.join("cgroup.procs")).ok()?;
    let all = text.lines().filter_map(|line| line.parse().ok());
    // Processes that cannot be seen from here, in another container, show as 0.
    Some(all.filter(|pid| *pid != own && *pid != 0).collect())
}

fn bound_memory(version: Version, dir: &Path, bytes: u64) -> io::Result<()> {
    let bytes = bytes.to_string();
    match version {
        Version::V1 => {
            fs::write(dir.join("memory.limit_in_bytes"), &bytes)?;
            optional(&dir.join("memory.memsw.limit_in_bytes"), &bytes)
        }
        Version::V2 => {
            fs::write(dir.join("memory.max"), &bytes)?;
            optional(&dir.join("memory.swap.max"), "0")?;
            optional(&dir.join("memory.oom.group"), "1")
        }
    }
}

fn bound_cpu(version: Version, dir: &Path, millis: u64) -> io::Result<()> {
    let quota = millis.saturating_mul(CPU_PERIOD / 1000).max(1000);
    match version {
        Version::V1 => {
            fs::write(dir.join("cpu.cfs_period_us"), CPU_PERIOD.to_string())?;
            fs::write(dir.join("cpu.cfs_quota_us"), quota.to_string())
        }
        Version::V2 => fs::write(dir.join("cpu.max"), format!("{quota} {CPU_PERIOD}")),
    }
}

/// Not every kernel counts swap, nor kills by group.
fn optional(file: &Path, text: &str) -> io::Result<()> {
    match File::options().write(true).open(file) {
        Ok(mut file) => file.write_all(text.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn open_peak(version: Version, dir: &Path) -> Option<File> {
    let opened = match version {
        Version::V1 => File::options()
            .read(true)
            .write(true)
            .open(dir.join("memory.max_usage_in_bytes")),
        // Linux 5.19 or newer.
        Version::V2 => File::open(dir.join("memory.peak")),
    };
    opened.ok()
}

fn number(file: &File) -> Option<u64> {
    text(file)?.trim().parse().ok()
}

/// All of a small file that the kernel writes anew for each reader.
fn text(file: &File) -> Option<String> {
    let mut text = [0; 512];
    let len = file.read_at(&mut text, 0).ok()?;
    str::from_utf8(text.get(..len)?).ok().map(str::to_owned)
}

/// A value in `name value` lines.
fn value(text: &str, name: &str) -> Option<u64> {
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found?.trim().parse().ok()
}
