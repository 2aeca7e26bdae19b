//! The control groups of executors: what is left of them, and in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tripline_tests::{Executor, Hub};

/// The file of an executor's directory that names its groups, one a line.
const RECORD: &str = "cgroups";

/// All that executors made, also those that are dead by now.
#[derive(Debug, Default)]
pub(crate) struct Groups(BTreeSet<PathBuf>);

// === impl Groups ===

impl Groups {
    /// Notes those of the executors there are.
    pub(crate) fn note(&mut self, hub: &Hub) {
        for executor in hub.executors() {
            self.0.extend(of(&executor));
        }
    }

    /// The machine begins anew: none of them is on its disk.
    pub(crate) fn forget(&mut self) {
        let all = std::mem::take(&mut self.0);
        all.iter().for_each(|group| remove(group));
    }

    /// Those of dead executors that are still there, and those of living ones in which something lives.
    pub(crate) fn left(&self, hub: &Hub) -> BTreeSet<String> {
        let living: BTreeSet<PathBuf> = hub.executors().iter().flat_map(of).collect();
        let is_left = |group: &&PathBuf| match living.contains(*group) {
            true => holds_processes(group),
            false => group.exists(),
        };
        let all: BTreeSet<_> = self.0.union(&living).collect();
        let left = all.into_iter().filter(is_left);
        left.map(|group| group.display().to_string()).collect()
    }
}

fn of(executor: &Executor) -> Vec<PathBuf> {
    let record = fs::read_to_string(executor.dir.join(RECORD)).unwrap_or_default();
    record.lines().map(PathBuf::from).collect()
}

/// The groups in a group.
fn inner(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.is_dir()).collect()
}

fn holds_processes(group: &Path) -> bool {
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    !processes.is_empty() || inner(group).iter().any(|inner| holds_processes(inner))
}

fn remove(group: &Path) {
    inner(group).iter().for_each(|inner| remove(inner));
    // One in which something still dies stays: nobody is blamed for it.
    let _removed = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_executor_left_is_left() {
        let hub = Hub::prepare("");
        let group = hub.path("tripline-x");
        let groups = Groups([group.clone(), hub.path("tripline-y")].into());
        assert!(groups.left(&hub).is_empty());
        fs::create_dir(&group).unwrap();
        assert_eq!(groups.left(&hub), [group.display().to_string()].into());
    }

    #[test]
    fn a_group_holds_what_its_inner_groups_hold() {
        let hub = Hub::prepare("");
        let group = hub.path("tripline-x");
        let inner = group.join("run-1");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("cgroup.procs"), "").unwrap();
        assert!(!holds_processes(&group));
        fs::write(inner.join("cgroup.procs"), "7\n").unwrap();
        assert!(holds_processes(&group));
    }
}
