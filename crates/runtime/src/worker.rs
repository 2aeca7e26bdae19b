//! The runtime `worker`: an executor keeps instances of the function, which ask for one event after the other.

use crate::attributes::Attributes;
use crate::remote::{ExecutorRuntime, Remote};

// === impl ExecutorRuntime ===

impl ExecutorRuntime {
    /// Runs invocations in warm instances, which get all of the event in its format.
    pub fn worker(remote: Remote) -> Self {
        Self {
            kind: "worker",
            attributes: |_event| Attributes::default(),
            remote,
        }
    }
}
