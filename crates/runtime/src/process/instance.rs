//! One running process and what it started.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tripline_model::LogStream;

use super::pump::{Kept, feed, pump};
use super::scratch::Scratch;
use super::tree;
use crate::{Exit, Instance, Start};

/// How long the pipes of a dead group may take to run empty before somebody else is looked for who holds them.
const DRAIN: Duration = Duration::from_millis(200);

/// How long what was read may take to be passed on, before a log that takes nothing more is given up.
const DELIVERY: Duration = Duration::from_secs(30);

/// One running process and what it started.
pub(super) struct ProcessInstance {
    child: Child,
    group: Option<Pid>,
    mark: String,
    scratch: Scratch,
    feeder: JoinSet<()>,
    pumps: JoinSet<()>,
    give_up: CancellationToken,
    result: Kept,
    status: Option<ExitStatus>,
    /// Whether everything that carries the mark has to be looked for.
    suspect: AtomicBool,
    reclaimed: bool,
}

// === impl ProcessInstance ===

impl ProcessInstance {
    pub(super) fn new(mut child: Child, start: Start, scratch: Scratch) -> Self {
        let give_up = CancellationToken::new();
        let result = Kept::new(start.function.max_result_bytes);
        let (mut feeder, mut pumps) = (JoinSet::new(), JoinSet::new());
        if let (Some(stdin), Some(data)) = (child.stdin.take(), start.invocation.event.data) {
            feeder.spawn(feed(stdin, data));
        }
        if let Some(stdout) = child.stdout.take() {
            let sink = (start.output.clone(), Some(result.clone()));
            pumps.spawn(pump(stdout, LogStream::Stdout, sink, give_up.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            let sink = (start.output, None);
            pumps.spawn(pump(stderr, LogStream::Stderr, sink, give_up.clone()));
        }
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            group: group.map(Pid::from_raw),
            mark: format!("TRIPLINE_REQUEST_ID={}", start.invocation.request_id),
            child,
            scratch,
            feeder,
            pumps,
            give_up,
            result,
            status: None,
            suspect: AtomicBool::new(false),
            reclaimed: false,
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            tree::signal_group(group, signal);
        }
    }

    /// Lets the pipes run empty. Somebody who left the group may hold them open for ever: he is looked for, and the
    /// pipes are given up.
    async fn drain(&mut self) {
        if timeout(DRAIN, join_all(&mut self.pumps)).await.is_ok() {
            return;
        }
        self.suspect.store(true, Ordering::Relaxed);
        tree::kill_marked(&self.mark).await;
        if timeout(DRAIN, join_all(&mut self.pumps)).await.is_ok() {
            return;
        }
        self.give_up.cancel();
        if timeout(DELIVERY, join_all(&mut self.pumps)).await.is_err() {
            tracing::warn!("the log took nothing more; the rest of the output is lost");
            self.pumps.abort_all();
        }
    }
}

#[async_trait]
impl Instance for ProcessInstance {
    fn terminate(&self) {
        self.suspect.store(true, Ordering::Relaxed);
        self.signal(Signal::SIGTERM);
    }

    fn kill(&self) {
        self.suspect.store(true, Ordering::Relaxed);
        self.signal(Signal::SIGKILL);
    }

    async fn wait(&mut self) {
        if self.status.is_none() {
            // An error here means that somebody else waited for the process: it is over, nobody knows how.
            let status = self.child.wait().await.ok();
            let status = status.unwrap_or_else(|| ExitStatus::from_raw(Signal::SIGKILL as i32));
            if !status.success() {
                self.suspect.store(true, Ordering::Relaxed);
            }
            self.status = Some(status);
            self.feeder.abort_all();
        }
    }

    async fn reclaim(&mut self) -> Exit {
        // Nothing of a run outlives its main process. The number of the group stays taken while it has members; an
        // empty group's number is not given away again before all others were.
        self.signal(Signal::SIGKILL);
        self.drain().await;
        if self.suspect.load(Ordering::Relaxed) {
            let left = tree::kill_marked(&self.mark).await;
            if left > 0 {
                tracing::error!(
                    left,
                    mark = self.mark,
                    "processes of a run could not be ended"
                );
            }
        }
        self.scratch.remove().await;
        self.reclaimed = true;
        let (result, result_cut) = self.result.take();
        Exit {
            code: self.status.and_then(|status| status.code()),
            signal: self.status.and_then(|status| status.signal()),
            result,
            result_cut,
        }
    }
}

impl Drop for ProcessInstance {
    fn drop(&mut self) {
        if !self.reclaimed {
            self.signal(Signal::SIGKILL);
        }
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}
