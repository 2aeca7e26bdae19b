//! Waiting for the main process.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::family;

/// Time between looks where the kernel has no descriptors of processes (before Linux 5.3).
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A process that was started here. Dropped before its end, it is waited for by [`family::tend_orphans`].
pub(super) struct Main {
    child: Child,
    pid: Pid,
    ended: Option<AsyncFd<OwnedFd>>,
    status: Option<ExitStatus>,
}

// === impl Main ===

impl Main {
    /// Call it in the runtime, for a child that [`family`] knows.
    #[expect(
        deprecated,
        reason = "sound for an OwnedFd, whose number never changes; what replaces it needs unsafe code"
    )]
    pub(super) fn new(child: Child, pid: Pid) -> Self {
        // The number cannot be somebody else's: nobody has waited for the child.
        let ended = pidfd_open(pid, PidfdFlags::NONBLOCK)
            .ok()
            .and_then(|fd| AsyncFd::with_interest(fd, Interest::READABLE).ok());
        Self {
            child,
            pid,
            ended,
            status: None,
        }
    }

    /// Waits for its end. The future may be dropped and asked for again.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        loop {
            // Before anything else: the runtime may not have heard of its end yet.
            if let Some(status) = self.look() {
                return status;
            }
            match &self.ended {
                Some(ended) => {
                    if let Ok(mut guard) = ended.readable().await {
                        guard.clear_ready();
                    }
                }
                None => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// How it ended, if it has.
    fn look(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // An error means that somebody else waited for it: it is over, nobody knows how.
            let unknown = ExitStatus::from_raw(Signal::KILL.as_raw());
            let look = || self.child.try_wait().unwrap_or(Some(unknown));
            self.status = family::take_end(self.pid, look);
            self.ended.take_if(|_| self.status.is_some());
        }
        self.status
    }
}

impl Drop for Main {
    fn drop(&mut self) {
        // After its end the number may be that of a younger child.
        if self.status.is_none() {
            family::remove_child(self.pid);
        }
    }
}
