//! Where the control groups of this process are: `/proc/self/cgroup` against the mounts.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What a control group can bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

/// How a hierarchy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// One hierarchy of control groups that has something for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// With v1: what it bounds. With v2: to be asked of its folders.
    pub(super) controllers: Vec<Controller>,
    /// The top that can be seen here.
    pub(super) top: PathBuf,
    /// The control group that this process is in.
    pub(super) own: PathBuf,
}

/// All hierarchies with one of our controllers, and v2 always. Empty where there are none.
pub(super) fn find() -> Vec<Hierarchy> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    parse(&groups, &mounts)
}

pub(super) fn parse(groups: &str, mounts: &str) -> Vec<Hierarchy> {
    mounts
        .lines()
        .filter_map(|line| of_mount(line, groups))
        .fold(Vec::new(), |mut found, hierarchy| {
            let known = found.iter().any(|other: &Hierarchy| {
                other.version == hierarchy.version && other.controllers == hierarchy.controllers
            });
            if !known {
                found.push(hierarchy);
            }
            found
        })
}

/// Reads a space- or comma-separated list of controllers; others than ours are left out.
pub(super) fn controllers(text: &str) -> Vec<Controller> {
    text.split([',', ' ', '\n'])
        .filter_map(|word| Controller::ALL.into_iter().find(|one| one.name() == word))
        .collect()
}

fn of_mount(line: &str, groups: &str) -> Option<Hierarchy> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, at) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let version = match right.next()? {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let controllers = match version {
        Version::V1 => controllers(right.nth(1)?),
        Version::V2 => Vec::new(),
    };
    if version == Version::V1 && controllers.is_empty() {
        return None;
    }
    let member = groups.lines().find_map(|line| {
        let (_number, rest) = line.split_once(':')?;
        let (names, path) = rest.split_once(':')?;
        let same = match controllers.first() {
            Some(first) => names.split(',').any(|name| name == first.name()),
            None => names.is_empty(),
        };
        same.then_some(path)
    })?;
    let top = PathBuf::from(unescaped(at));
    Some(Hierarchy {
        version,
        controllers,
        own: own(&top, root, member),
        top,
    })
}

/// The mount may show only a part of the hierarchy, as in a container, from `root` on.
fn own(top: &Path, root: &str, member: &str) -> PathBuf {
    let within = Path::new(member)
        .strip_prefix(root)
        .unwrap_or(Path::new(""));
    top.join(within.strip_prefix("/").unwrap_or(within))
}

/// Mount points are written with blanks as `\040` and the like.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\134", "\\")
}

// === impl Controller ===

impl Controller {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
