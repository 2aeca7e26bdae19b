//! The executor's own part of the control groups: a folder in each hierarchy, in which those of runs are made and kept.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tripline_model::lock;

use crate::protocol::Limits;

use super::delegation;
use super::group::Group;
use super::hierarchy::{Controller, Hierarchy, Version};
use super::sweep;

/// Sets of groups without limits that are kept for the next run, at most.
const KEPT: usize = 64;

/// The folders of one executor, one in each hierarchy that is used.
pub(super) struct GroupPool {
    parents: Vec<Parent>,
    /// Empty, without limits, in the order of the parents that every run uses.
    kept: Mutex<Vec<Vec<Group>>>,
    /// What could not be removed yet.
    left: Mutex<Vec<Group>>,
    next: AtomicU64,
}

/// A folder of ours in one hierarchy.
pub(super) struct Parent {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    pub(super) path: PathBuf,
    /// Whether every run has a group here, or only those with a limit that is set here.
    pub(super) always: bool,
    /// Whether its groups are what ends a run.
    pub(super) ends: bool,
    /// With v1: brings a thread back to where the executor is.
    back: Option<File>,
}

// === impl Parent ===

impl Parent {
    /// Makes the folder and, with v2, has the controllers bound what is in it.
    fn new(hierarchy: &Hierarchy, id: &str, record: &Path) -> io::Result<Self> {
        let name = format!("{}{id}", sweep::PREFIX);
        let (path, controllers, back) = match hierarchy.version {
            Version::V1 => {
                let path = hierarchy.own.join(name);
                sweep::note(record, &path)?;
                fs::create_dir(&path)?;
                let back = File::options()
                    .write(true)
                    .open(hierarchy.own.join("tasks"))?;
                (path, hierarchy.controllers.clone(), Some(back))
            }
            Version::V2 => {
                let base = delegation::base(&hierarchy.own);
                let path = base.join(name);
                sweep::note(record, &path)?;
                fs::create_dir(&path)?;
                let controllers = delegation::enable(&base, &path).unwrap_or_else(|error| {
                    tracing::info!(%error, base = %base.display(), "control groups v2 bound nothing here");
                    Vec::new()
                });
                (path, controllers, None)
            }
        };
        Ok(Self {
            version: hierarchy.version,
            controllers,
            path,
            always: false,
            ends: false,
            back,
        })
    }

    fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    fn wanted(&self, limits: &Limits) -> bool {
        self.always || (limits.cpu_millis.is_some() && self.has(Controller::Cpu))
    }
}

// === impl GroupPool ===

impl GroupPool {
    /// Makes the folders where that is possible; what it makes is noted in `record` first.
    pub(super) fn new(id: &str, record: &Path, hierarchies: &[Hierarchy]) -> Self {
        let mut parents: Vec<Parent> = hierarchies
            .iter()
            .filter_map(|hierarchy| {
                Parent::new(hierarchy, id, record)
                    .inspect_err(|error| {
                        tracing::info!(%error, own = %hierarchy.own.display(), "no control group can be made here");
                    })
                    .ok()
            })
            .collect();
        choose(&mut parents);
        let pool = Self {
            parents,
            kept: Mutex::default(),
            left: Mutex::default(),
            next: AtomicU64::new(0),
        };
        pool.without_unused()
    }

    /// Whether a limit of this kind can be set.
    pub(super) fn has(&self, controller: Controller) -> bool {
        self.parents.iter().any(|parent| parent.has(controller))
    }

    /// Which versions are in use.
    pub(super) fn versions(&self) -> Vec<Version> {
        self.parents.iter().map(|parent| parent.version).collect()
    }

    /// Groups for a run with these limits, and whether they may be kept for another.
    pub(super) fn groups(&self, name: &str, limits: &Limits) -> io::Result<(Vec<Group>, bool)> {
        self.remove_left();
        let unbounded =
            limits.memory_bytes.is_none() && limits.cpu_millis.is_none() && limits.pids.is_none();
        if unbounded && let Some(groups) = lock(&self.kept).pop() {
            return Ok((groups, true));
        }
        let name = self.named(name);
        let mut groups = Vec::new();
        for parent in self.parents.iter().filter(|parent| parent.wanted(limits)) {
            match Group::new(parent, &name, limits) {
                Ok(group) => groups.push(group),
                Err(error) => {
                    lock(&self.left).extend(groups);
                    self.remove_left();
                    return Err(error);
                }
            }
        }
        Ok((groups, unbounded))
    }

    /// Takes groups back. Reusable are those that had no limits and are empty without a kill.
    pub(super) fn give_back(&self, groups: Vec<Group>, reusable: bool) {
        let mut kept = lock(&self.kept);
        if reusable && kept.len() < KEPT && groups.iter().all(Group::renewed) {
            kept.push(groups);
            return;
        }
        drop(kept);
        let busy: Vec<Group> = groups
            .into_iter()
            .filter(|group| !group.removed())
            .collect();
        lock(&self.left).extend(busy);
    }

    /// Brings the calling thread back to where the executor is.
    pub(super) fn leave(&self) {
        for mut back in self
            .parents
            .iter()
            .filter_map(|parent| parent.back.as_ref())
        {
            if let Err(error) = back.write_all(b"0") {
                tracing::error!(%error, "a thread could not leave a control group");
            }
        }
    }

    /// Removes everything that is empty.
    pub(super) fn close(&self) {
        let kept: Vec<Vec<Group>> = lock(&self.kept).drain(..).collect();
        lock(&self.left).extend(kept.into_iter().flatten());
        self.remove_left();
        for parent in &self.parents {
            // What is busy is in the record, and swept by whoever removes the executor's folder.
            let _busy = fs::remove_dir(&parent.path);
        }
    }

    fn remove_left(&self) {
        lock(&self.left).retain(|group| {
            group.kill();
            !group.removed()
        });
    }

    fn without_unused(mut self) -> Self {
        self.parents.retain(|parent| {
            let used = parent.always || parent.has(Controller::Cpu);
            if !used {
                let _busy = fs::remove_dir(&parent.path);
            }
            used
        });
        self
    }

    /// A name that is never a path, and never twice the same.
    fn named(&self, name: &str) -> String {
        let plain: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(60)
            .collect();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{plain}-{number}")
    }
}

impl Drop for GroupPool {
    fn drop(&mut self) {
        self.close();
    }
}

/// Decides which groups end a run and which every run has. v1 with the number of processes comes first: a thread enters it
/// without waiting, what it starts is born inside, and a tree that may not fork is ended for certain. v2 ends a tree with
/// one write, but processes have to be moved into it, for which the kernel waits up to 20 ms on an idle machine.
fn choose(parents: &mut [Parent]) {
    let v1_pids = parents
        .iter()
        .position(|parent| parent.version == Version::V1 && parent.has(Controller::Pids));
    let v2 = parents
        .iter()
        .position(|parent| parent.version == Version::V2);
    if let Some(ender) = v1_pids.or(v2).or((!parents.is_empty()).then_some(0)) {
        parents[ender].ends = true;
    }
    for parent in parents {
        parent.always =
            parent.ends || parent.has(Controller::Memory) || parent.has(Controller::Pids);
    }
}
