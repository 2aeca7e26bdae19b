//! Function processes: starting them, moving what they read and write, and ending all that came of them.
//!
//! [`ProcessStarter`] starts a process for each run. [`Launcher::spawn`] is what it and the warm instances of the
//! worker starter have in common. No process survives its end, whatever it started: see [`tree`] and [`family`].

mod account;
mod capabilities;
mod child;
mod credentials;
mod environment;
mod family;
mod inherited;
mod launch;
mod lines;
mod program;
mod pump;
mod remains;
mod removal;
mod scratch;
mod spawned;
mod spawners;
mod starter;
mod tap;
#[cfg(test)]
mod tests;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;

use crate::isolation::Isolator;

pub use self::account::check_user;
pub(crate) use self::credentials::write_credentials;
pub(crate) use self::family::tend_orphans;
pub use self::inherited::{close_inherited_descriptors, leave_session};
pub(crate) use self::launch::{Launcher, SpawnRequest};
pub(crate) use self::removal::remove_tree;
pub(crate) use self::scratch::Scratches;
pub(crate) use self::spawned::{Memory, Reclaimed, Spawned};
pub(crate) use self::starter::ProcessStarter;
pub(crate) use self::tap::Tap;
pub(crate) use self::tree::kill_marked;

/// Where functions are started.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// The executor's id: the mark of all of its processes.
    pub(crate) executor_id: String,
    /// The executor's directory; scratch directories are in `scratch/FUNCTION` below it.
    pub(crate) dir: PathBuf,
    pub(crate) isolation: Arc<Isolator>,
    /// Those of all functions, whatever runs them: a function may change from one kind to another.
    pub(crate) scratches: Arc<Scratches>,
}
