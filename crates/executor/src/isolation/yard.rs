//! The executor's own part of the control groups: a folder in each hierarchy, in which cages are made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::protocol::Limits;

use super::delegation;
use super::hierarchy::{Controller, Hierarchy, Version};
use super::room::Room;
use super::sweep;

/// Sets of rooms without limits that are kept for the next run, at most.
const KEPT: usize = 64;

/// The folders of one executor, one in each hierarchy that is used.
pub(super) struct Yard {
    plots: Vec<Plot>,
    /// Empty, without limits, in the order of the plots that every cage uses.
    kept: Mutex<Vec<Vec<Room>>>,
    /// What could not be removed yet.
    left: Mutex<Vec<Room>>,
    next: AtomicU64,
}

/// A folder of ours in one hierarchy.
pub(super) struct Plot {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    pub(super) path: PathBuf,
    /// Whether every cage has a room here, or only those with a limit that is set here.
    pub(super) always: bool,
    /// Ends what is in a cage.
    pub(super) ends: bool,
    /// With v1: brings a thread back to where the executor is.
    back: Option<File>,
}

// === impl Plot ===

impl Plot {
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

// === impl Yard ===

impl Yard {
    /// Makes the folders where that is possible; what it makes is noted in `record` first.
    pub(super) fn new(id: &str, record: &Path, hierarchies: &[Hierarchy]) -> Self {
        let mut plots: Vec<Plot> = hierarchies
            .iter()
            .filter_map(|hierarchy| {
                Plot::new(hierarchy, id, record)
                    .inspect_err(|error| {
                        tracing::info!(%error, own = %hierarchy.own.display(), "no control group can be made here");
                    })
                    .ok()
            })
            .collect();
        choose(&mut plots);
        let yard = Self {
            plots,
            kept: Mutex::default(),
            left: Mutex::default(),
            next: AtomicU64::new(0),
        };
        yard.without_unused()
    }

    /// Whether a limit of this kind can be set.
    pub(super) fn has(&self, controller: Controller) -> bool {
        self.plots.iter().any(|plot| plot.has(controller))
    }

    /// Which versions are in use.
    pub(super) fn versions(&self) -> Vec<Version> {
        self.plots.iter().map(|plot| plot.version).collect()
    }

    /// Rooms for a cage with these limits, and whether they may be kept for another.
    pub(super) fn rooms(&self, name: &str, limits: &Limits) -> io::Result<(Vec<Room>, bool)> {
        self.remove_left();
        let unbounded =
            limits.memory_bytes.is_none() && limits.cpu_millis.is_none() && limits.pids.is_none();
        if unbounded && let Some(rooms) = locked(&self.kept).pop() {
            return Ok((rooms, true));
        }
        let name = self.named(name);
        let mut rooms = Vec::new();
        for plot in self.plots.iter().filter(|plot| plot.wanted(limits)) {
            match Room::new(plot, &name, limits) {
                Ok(room) => rooms.push(room),
                Err(error) => {
                    locked(&self.left).extend(rooms);
                    self.remove_left();
                    return Err(error);
                }
            }
        }
        Ok((rooms, unbounded))
    }

    /// Takes rooms back. Reusable are those that had no limits and are empty without a kill.
    pub(super) fn give_back(&self, rooms: Vec<Room>, reusable: bool) {
        let mut kept = locked(&self.kept);
        if reusable && kept.len() < KEPT && rooms.iter().all(Room::renewed) {
            kept.push(rooms);
            return;
        }
        drop(kept);
        let busy: Vec<Room> = rooms.into_iter().filter(|room| !room.removed()).collect();
        locked(&self.left).extend(busy);
    }

    /// Brings the calling thread back to where the executor is.
    pub(super) fn leave(&self) {
        for mut back in self.plots.iter().filter_map(|plot| plot.back.as_ref()) {
            if let Err(error) = back.write_all(b"0") {
                tracing::error!(%error, "a thread could not leave a control group");
            }
        }
    }

    /// Removes everything that is empty.
    pub(super) fn close(&self) {
        let kept: Vec<Vec<Room>> = locked(&self.kept).drain(..).collect();
        locked(&self.left).extend(kept.into_iter().flatten());
        self.remove_left();
        for plot in &self.plots {
            // What is busy is in the record, and swept by whoever removes the executor's folder.
            let _busy = fs::remove_dir(&plot.path);
        }
    }

    fn remove_left(&self) {
        locked(&self.left).retain(|room| {
            room.kill();
            !room.removed()
        });
    }

    fn without_unused(mut self) -> Self {
        self.plots.retain(|plot| {
            let used = plot.always || plot.has(Controller::Cpu);
            if !used {
                let _busy = fs::remove_dir(&plot.path);
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

impl Drop for Yard {
    fn drop(&mut self) {
        self.close();
    }
}

/// Decides who ends a cage and what every cage has. v1 with the number of processes comes first: a thread enters it
/// without waiting, what it starts is born inside, and a tree that may not fork is ended for certain. v2 ends a tree with
/// one write, but processes have to be moved into it, for which the kernel waits up to 20 ms on an idle machine.
fn choose(plots: &mut [Plot]) {
    let v1_pids = plots
        .iter()
        .position(|plot| plot.version == Version::V1 && plot.has(Controller::Pids));
    let v2 = plots.iter().position(|plot| plot.version == Version::V2);
    if let Some(ender) = v1_pids.or(v2).or((!plots.is_empty()).then_some(0)) {
        plots[ender].ends = true;
    }
    for plot in plots {
        plot.always = plot.ends || plot.has(Controller::Memory) || plot.has(Controller::Pids);
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
