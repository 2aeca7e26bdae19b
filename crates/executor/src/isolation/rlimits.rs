//! Bounds that the kernel keeps by process.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::protocol::Limits;

/// Sets the bounds. `memory` says that no control group bounds the memory: then that which a process can write to is
/// bounded, for each of them. (The address space is no measure: runtimes such as Node reserve gigabytes that they never
/// use. The number of processes can be bounded by user only, and not for root: that is left to control groups.)
pub(super) fn set(pid: Pid, limits: &Limits, memory: bool) -> io::Result<()> {
    let bounds = [
        (Resource::Core, Some(0)),
        (Resource::Nofile, limits.open_files),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Data, limits.memory_bytes.filter(|_| memory)),
    ];
    for (resource, value) in bounds {
        let Some(value) = value else { continue };
        match bound(pid, resource, value) {
            Err(Errno::SRCH) => return Ok(()),
            done => done?,
        }
    }
    Ok(())
}

/// The process may not raise it again. What is above the executor's own bound stays at that.
fn bound(pid: Pid, resource: Resource, value: u64) -> Result<(), Errno> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let value = Some(value.min(most));
    let new = Rlimit {
        current: value,
        maximum: value,
    };
    prlimit(Some(pid), resource, new).map(drop)
}
