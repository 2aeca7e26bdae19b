//! What this machine can enforce on functions: bounds, the certain end of a whole tree, and what files they reach.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use tokio::time::Instant;

use crate::protocol::{FunctionSpec, Limits};

mod delegation;
mod group;
mod groups;
mod hierarchy;
mod level;
mod pool;
mod rlimits;
mod ruleset;
mod seccomp;
mod sweep;

#[cfg(test)]
mod tests;

pub(crate) use groups::Groups;
pub(crate) use level::no_user_switch;
pub use level::{Cgroup, Level, Missing};
pub(crate) use rlimits::AsUser;
pub(crate) use ruleset::Ruleset;

use hierarchy::{Controller, Hierarchy};
use level::Found;
use pool::GroupPool;
use rlimits::{Bounds, Setter};

/// How long it may take to put a process that was just started within its bounds.
const CONFINE_TIMEOUT: Duration = Duration::from_millis(50);

/// Puts processes within their bounds. One for an executor.
pub(crate) struct Isolator {
    level: Level,
    pool: Arc<GroupPool>,
    data_dir: PathBuf,
}

/// Looks at what can be enforced here, without an executor. Blocks for some milliseconds.
pub fn level() -> Level {
    let found = Found::probed(&hierarchy::find());
    let landlock_abi = ruleset::landlock_abi();
    Level::new(found, landlock_abi, signal_filter(landlock_abi))
}

/// Ends everything that a dead executor left in its control groups, and removes them. Blocks, for at most 10 s a folder.
pub(crate) fn sweep(executor_dir: &Path) -> io::Result<()> {
    sweep::sweep(executor_dir)
}

/// Whether what Landlock leaves open of signals can be closed; `None` where it keeps none. Functions then signal the
/// executor anyway, and a filter would only take something from them.
fn signal_filter(landlock_abi: Option<u32>) -> Option<io::Result<()>> {
    let scoped = landlock_abi.is_some_and(|abi| abi >= level::SIGNALS_ABI);
    scoped.then(seccomp::probe)
}

// === impl Isolator ===

impl Isolator {
    /// Looks at what can be enforced, and prepares it. Paths may have symbolic links. Call once, early, in the executor:
    /// with control groups v2 that are delegated, it moves the executor and the hub into groups of their own.
    pub(crate) fn detect(executor_id: &str, executor_dir: &Path, data_dir: &Path) -> Self {
        let dirs = [executor_dir, data_dir];
        Self::with(
            &hierarchy::find(),
            ruleset::landlock_abi(),
            executor_id,
            dirs,
        )
    }

    /// With these control groups and this version of Landlock; the directories as for `detect`.
    fn with(
        hierarchies: &[Hierarchy],
        landlock_abi: Option<u32>,
        executor_id: &str,
        [executor_dir, data_dir]: [&Path; 2],
    ) -> Self {
        rlimits::prepare();
        let why = level::why(hierarchies);
        let pool = GroupPool::new(executor_id, &sweep::record(executor_dir), hierarchies);
        let has = |controller: &Controller| pool.has(*controller);
        let found = Found {
            versions: pool.versions(),
            controllers: Controller::ALL.into_iter().filter(has).collect(),
            why,
        };
        Self {
            level: Level::new(found, landlock_abi, signal_filter(landlock_abi)),
            pool: Arc::new(pool),
            data_dir: data_dir.to_owned(),
        }
    }

    /// The hub's data directory, which functions are kept out of.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// What can be enforced.
    pub(crate) fn level(&self) -> &Level {
        &self.level
    }

    /// For `isolation = "required"`: what of the function's bounds cannot be enforced, in words that follow "but".
    pub(crate) fn check(&self, spec: &FunctionSpec) -> Result<(), String> {
        self.level.check(spec)
    }

    /// The rules for a function. `scratch` (`scratch/<function>`) exists. Where the kernel has no Landlock the rules are
    /// `no_new_privs` alone. An error means: do not start it (never run it unrestricted instead).
    pub(crate) fn ruleset(&self, spec: &FunctionSpec, scratch: &Path) -> io::Result<Ruleset> {
        let ruleset = match self.level.landlock_abi {
            Some(_) => Ruleset::new(&self.data_dir, &spec.working_dir, scratch)?,
            None => Ruleset::without_landlock(),
        };
        Ok(ruleset.with_signal_filter(self.level.signal_filter))
    }

    /// Groups with the limits set, as far as they can be. Call it on an unrestricted thread, not on a spawner's: it
    /// opens files that functions may not.
    pub(crate) fn groups(&self, name: &str, limits: &Limits) -> io::Result<Groups> {
        Groups::new(&self.pool, name, limits)
    }

    /// Bounds by process, set on `pid` right after it was started, and on what it started since: open files, size of a
    /// file, and memory where no control group bounds it. A process that is gone already is no error. Where the function
    /// asks for one of these it takes until the process is asleep once, for 50 ms at most.
    pub(crate) fn bound(
        &self,
        groups: &Groups,
        pid: Pid,
        limits: &Limits,
        as_user: AsUser<'_>,
    ) -> io::Result<()> {
        let bounds = Bounds::new(limits, !self.level.memory);
        if bounds.are_none() {
            return Ok(());
        }
        let deadline = Instant::now() + CONFINE_TIMEOUT;
        let setter = Setter { as_user, deadline };
        let asked_for = bounds.are_asked_for();
        let set = groups.each(pid, asked_for, deadline, |one| bounds.set(one, &setter));
        match set {
            Err(error) if !asked_for => {
                tracing::warn!(%error, "processes may open as many files as the executor");
                Ok(())
            }
            set => set,
        }
    }

    /// Removes the executor's own control groups, at its end.
    pub(crate) fn close(&self) {
        self.pool.close();
    }
}
