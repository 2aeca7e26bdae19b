//! How a hub is halted and ended.

use std::fs;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Hub;
use crate::eventually;

impl Hub {
    /// Sends the hub a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the hub has started");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid is small"));
        kill(pid, signal).expect("the hub is there");
    }

    /// Halts the hub, and waits until none of its threads runs any more.
    pub async fn halt(&self) {
        self.signal(Signal::SIGSTOP);
        let pid = self.child.as_ref().expect("the hub has started").id();
        eventually("the hub stands still", async || {
            let mut threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the hub is there");
            let stands = |thread: fs::DirEntry| {
                let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                // The name before may hold anything.
                stat.rsplit(") ")
                    .next()
                    .is_some_and(|rest| rest.starts_with('T'))
            };
            threads
                .all(|thread| stands(thread.expect("a thread")))
                .then_some(())
        })
        .await;
    }

    /// Waits until the hub's process has ended.
    pub async fn exited(&mut self) -> ExitStatus {
        eventually("the hub has ended", async || {
            self.child
                .as_mut()
                .expect("the hub has started")
                .try_wait()
                .expect("it can be waited for")
        })
        .await
    }

    /// `kill -9`, and the body is buried.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.exited().await;
    }
}
