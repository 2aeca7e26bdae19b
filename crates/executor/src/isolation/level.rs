//! What this machine can enforce, in words.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};
use serde::Serialize;

use crate::protocol::{FunctionSpec, Limits};

use super::delegation;
use super::hierarchy::{Controller, Hierarchy, Version};
use super::sweep;

/// What this machine can enforce on functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    /// What kind of control groups there is.
    pub cgroup: Cgroup,
    /// Memory of a whole tree of processes can be bounded.
    pub memory: bool,
    /// Processes and threads of a tree can be bounded.
    pub pids: bool,
    /// Processor time of a tree can be bounded.
    pub cpu: bool,
    /// The version of Landlock's interface; without it functions reach all files of their user.
    pub landlock_abi: Option<u32>,
    /// Functions cannot signal the thread of the executor that started them, which Landlock alone lets them.
    pub signal_filter: bool,
    /// Functions cannot get more rights through set-user-id programs. Every Linux has it.
    pub no_new_privs: bool,
    /// Functions can run as another user.
    pub user_switch: bool,
    /// What there is not.
    pub missing: Vec<Missing>,
}

/// The control groups that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cgroup {
    /// Version 2, which bounds and ends trees.
    V2,
    /// Version 1, or both.
    V1,
    /// They end a tree for certain, but bound nothing.
    KillOnly,
    /// None: a tree is ended as far as it can be found.
    None,
}

/// Something that cannot be enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What it is.
    pub what: &'static str,
    /// Why it is not there.
    pub why: String,
    /// How to get it.
    pub remedy: &'static str,
}

/// What was found of control groups.
pub(super) struct Found {
    pub(super) versions: Vec<Version>,
    pub(super) controllers: Vec<Controller>,
    /// Why not more.
    pub(super) why: String,
}

const DELEGATE: &str = "run Tripline as a service with `Delegate=yes` in its unit, or as root where control groups can be written";
const KERNEL: &str =
    "use a Linux 6.12 or newer with `landlock` in its list of security modules (`lsm=` at boot)";
const SECCOMP: &str =
    "run it on x86-64 or ARM64, and allow the system call `seccomp`, which a container may forbid";

/// The version of Landlock from which on it keeps signals.
pub(super) const SIGNALS_ABI: u32 = 6;

/// What of the rights to act as another user this process lacks, in a sentence. In a container root may have been left
/// without them.
pub(crate) fn no_user_switch() -> Option<String> {
    if !geteuid().is_root() {
        return Some("Tripline does not run as root".to_owned());
    }
    // Linux tells every process its own; where it does not, the first start will tell.
    let has = capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective);
    let needed = [
        (CapabilitySet::SETUID, "CAP_SETUID"),
        (CapabilitySet::SETGID, "CAP_SETGID"),
    ];
    let lacks = needed.iter().filter(|(one, _)| !has.contains(*one));
    let lacks: Vec<&str> = lacks.map(|(_, name)| *name).collect();
    (!lacks.is_empty()).then(|| format!("Tripline runs as root without {}", lacks.join(" and ")))
}

// === impl Found ===

impl Found {
    /// Looks without an executor: makes a folder in each hierarchy, and removes it again.
    pub(super) fn probed(hierarchies: &[Hierarchy]) -> Self {
        let mut found = Self {
            versions: Vec::new(),
            controllers: Vec::new(),
            why: why(hierarchies),
        };
        for hierarchy in hierarchies {
            let base = match hierarchy.version {
                Version::V1 => hierarchy.own.clone(),
                Version::V2 => delegation::base(&hierarchy.own),
            };
            if probe(&base).is_err() {
                continue;
            }
            found.versions.push(hierarchy.version);
            found.controllers.extend(match hierarchy.version {
                Version::V1 => hierarchy.controllers.clone(),
                Version::V2 => delegation::offered(&base),
            });
        }
        found
    }
}

/// Why control groups cannot do more, for the first hierarchy that refuses.
pub(super) fn why(hierarchies: &[Hierarchy]) -> String {
    if hierarchies.is_empty() {
        return "no control groups are mounted".to_owned();
    }
    for hierarchy in hierarchies {
        let base = &hierarchy.own;
        if let Err(error) = probe(base) {
            return format!(
                "no control group can be made in {}: {error}",
                base.display()
            );
        }
    }
    "the control group that Tripline is in has no such controller, or it was not delegated to it"
        .to_owned()
}

fn probe(base: &Path) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let name = format!("{}probe-{process}-{number}", sweep::PREFIX);
    let path = base.join(name);
    fs::create_dir(&path)?;
    fs::remove_dir(&path)
}

// === impl Level ===

impl Level {
    /// `signal_filter` is `None` where there is no need of one.
    pub(super) fn new(
        found: Found,
        landlock_abi: Option<u32>,
        signal_filter: Option<io::Result<()>>,
    ) -> Self {
        let has = |controller| found.controllers.contains(&controller);
        let cgroup = match (&found.versions[..], &found.controllers[..]) {
            ([], _) => Cgroup::None,
            (_, []) => Cgroup::KillOnly,
            (versions, _) if versions.contains(&Version::V1) => Cgroup::V1,
            _all_v2 => Cgroup::V2,
        };
        let no_switch = no_user_switch();
        let mut level = Self {
            cgroup,
            memory: has(Controller::Memory),
            pids: has(Controller::Pids),
            cpu: has(Controller::Cpu),
            landlock_abi,
            signal_filter: matches!(signal_filter, Some(Ok(()))),
            no_new_privs: true,
            user_switch: no_switch.is_none(),
            missing: Vec::new(),
        };
        let no_filter = signal_filter.and_then(Result::err);
        level.missing = level.all_missing(&found.why, no_filter, &no_switch.unwrap_or_default());
        level
    }

    /// What of a function's demands cannot be enforced, in words that follow "but".
    pub fn check(&self, spec: &FunctionSpec) -> Result<(), String> {
        let Limits {
            memory_bytes,
            cpu_millis,
            pids,
            ..
        } = &spec.limits;
        let demands = [
            (MEMORY, memory_bytes.is_some() && !self.memory),
            (CPU, cpu_millis.is_some() && !self.cpu),
            (PIDS, pids.is_some() && !self.pids),
            (TREE, self.cgroup == Cgroup::None),
            (FILES, self.landlock_abi.is_none()),
            (EXECUTOR, !self.signal_filter),
        ];
        let unmet: Vec<String> = self
            .missing
            .iter()
            .filter(|missing| demands.contains(&(missing.what, true)))
            .map(Missing::to_string)
            .collect();
        match &unmet[..] {
            [] => Ok(()),
            unmet => Err(unmet.join("; ")),
        }
    }

    /// All of it for people, a line each: first what there is, then what there is not, why, and how to get it.
    pub fn lines(&self) -> Vec<String> {
        let missing = self
            .missing
            .iter()
            .map(|missing| format!("{missing}; to have it, {}", missing.remedy));
        [self.to_string()].into_iter().chain(missing).collect()
    }

    fn all_missing(
        &self,
        why: &str,
        no_filter: Option<io::Error>,
        no_switch: &str,
    ) -> Vec<Missing> {
        let kernel = "this kernel does not offer Landlock";
        let older = "this kernel's Landlock is older than version 6";
        let filtered = no_filter.is_none();
        let no_filter = no_filter.map_or(String::new(), |error| error.to_string());
        let table = [
            (MEMORY, self.memory, why, DELEGATE),
            (PIDS, self.pids, why, DELEGATE),
            (CPU, self.cpu, why, DELEGATE),
            (TREE, self.cgroup != Cgroup::None, why, DELEGATE),
            (FILES, self.landlock_abi.is_some(), kernel, KERNEL),
            (
                SIGNALS,
                self.landlock_abi.is_none_or(|abi| abi >= SIGNALS_ABI),
                older,
                KERNEL,
            ),
            (EXECUTOR, filtered, &no_filter, SECCOMP),
            (
                USER,
                self.user_switch,
                no_switch,
                "run it as root, with CAP_SETUID and CAP_SETGID",
            ),
        ];
        table
            .into_iter()
            .filter(|(_what, had, ..)| !had)
            .map(|(what, _had, why, remedy)| Missing {
                what,
                why: why.to_owned(),
                remedy,
            })
            .collect()
    }
}

const MEMORY: &str = "a limit for the memory of a function and all it starts";
const PIDS: &str = "a limit for the number of processes";
const CPU: &str = "a limit for processor time";
const TREE: &str = "the certain end of all processes of a function";
const FILES: &str = "keeping functions out of the data directory and other processes";
const SIGNALS: &str = "keeping functions from signalling other processes of their user";
const EXECUTOR: &str = "keeping functions from signalling the executor that starts them";
const USER: &str = "running a function as another user";

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = [
            (self.memory, "memory"),
            (self.pids, "processes"),
            (self.cpu, "processor time"),
        ];
        let bounds: Vec<&str> = bounds
            .iter()
            .filter(|(had, _)| *had)
            .map(|(_, name)| *name)
            .collect();
        let bounds = match &bounds[..] {
            [] => "nothing bounded by control groups".to_owned(),
            bounds => format!("{} bounded", bounds.join(", ")),
        };
        let groups = match self.cgroup {
            Cgroup::V2 => "control groups v2",
            Cgroup::V1 => "control groups v1",
            Cgroup::KillOnly => "control groups for ending processes only",
            Cgroup::None => "no control groups",
        };
        let files = match self.landlock_abi {
            Some(abi) => format!("files kept apart by Landlock {abi}"),
            None => "files not kept apart".to_owned(),
        };
        write!(f, "{groups}: {bounds}; {files}; no new privileges")
    }
}

// === impl Missing ===

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be enforced ({})", self.what, self.why)
    }
}
