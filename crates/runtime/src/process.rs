//! The runtime `process`: an executor starts a new process for each invocation. The event's attributes are in its
//! environment, the event or its data on stdin; the result is what it writes to stdout.

use crate::attributes::Attributes;
use crate::remote::{ExecutorRuntime, Remote};

// === impl ExecutorRuntime ===

impl ExecutorRuntime {
    /// Runs each invocation as a process of its own.
    pub fn process(remote: Remote) -> Self {
        Self {
            kind: "process",
            attributes: Attributes::of,
            remote,
        }
    }
}
