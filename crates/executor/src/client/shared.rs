//! What the owner, its handles and its tasks have in common: the executors that there are, and which of them is given
//! new runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_model::{RequestId, lock};

use super::connection::Connection;
use super::launch::{Launched, launch};
use super::link::Link;
use super::{ClientError, ExecutorsConfig, keeper};
use crate::protocol::FunctionSpec;

/// The wait before the first replacement of an executor that died.
const MIN_REPLACE_DELAY: Duration = Duration::from_millis(100);

/// The wait before a replacement, at most. An executor that lived longer counts as sound.
const MAX_REPLACE_DELAY: Duration = Duration::from_secs(30);

/// Starts that wait to be sent, at most: their events are in memory.
const MAX_WAITING_STARTS: usize = 64;

pub(super) struct Shared {
    pub(super) config: ExecutorsConfig,
    /// All executors there are. One that died is here until it was swept.
    pub(super) links: watch::Sender<Vec<Arc<Link>>>,
    /// The one that is given new runs.
    pub(super) current: watch::Sender<Option<Arc<Link>>>,
    pub(super) starts: Semaphore,
    /// Why there is no current one, for people.
    pub(super) trouble: Mutex<String>,
    /// No executor is replaced any more.
    pub(super) ending: CancellationToken,
    /// All tasks end.
    pub(super) closed: CancellationToken,
    pub(super) tasks: TaskTracker,
    functions: Mutex<Option<Arc<Vec<FunctionSpec>>>>,
    backoff: Mutex<Backoff>,
}

/// How long a replacement waits.
struct Backoff {
    next: Duration,
    since: Instant,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(config: ExecutorsConfig) -> Arc<Self> {
        let ending = CancellationToken::new();
        Arc::new(Self {
            config,
            links: watch::Sender::new(Vec::new()),
            current: watch::Sender::new(None),
            starts: Semaphore::new(MAX_WAITING_STARTS),
            trouble: Mutex::new("none was started yet".to_owned()),
            closed: CancellationToken::new(),
            ending,
            tasks: TaskTracker::new(),
            functions: Mutex::new(None),
            backoff: Mutex::new(Backoff {
                next: MIN_REPLACE_DELAY,
                since: Instant::now(),
            }),
        })
    }

    /// All executors there are.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        self.links.borrow().clone()
    }

    /// The executor that holds a run.
    pub(super) fn holder(&self, id: RequestId) -> Option<Arc<Link>> {
        let links = self.links.borrow();
        links.iter().find(|link| link.table().holds(id)).cloned()
    }

    /// Takes an executor in and keeps it from now on.
    pub(super) fn adopt(self: &Arc<Self>, link: Link, connection: Connection) -> Arc<Link> {
        let link = Arc::new(link);
        self.links
            .send_modify(|links| links.push(Arc::clone(&link)));
        self.tasks.spawn(keeper::keep(
            Arc::clone(self),
            Arc::clone(&link),
            connection,
        ));
        link
    }

    /// Starts a new executor, which becomes the current one.
    pub(super) async fn start_new(self: &Arc<Self>) -> Result<(), ClientError> {
        let Launched {
            link,
            connection,
            child,
        } = launch(&self.config).await?;
        tracing::info!(executor = %link.folder.id, pid = link.pid, "an executor was started");
        self.tasks.spawn(reap(Arc::clone(self), child));
        let link = self.adopt(link, connection);
        self.make_current(link);
        Ok(())
    }

    /// Gives new runs to this executor.
    pub(super) fn make_current(&self, link: Arc<Link>) {
        let functions = lock(&self.functions);
        if let Some(functions) = &*functions {
            link.change(|table| table.declare(Arc::clone(functions)));
        }
        // Within the lock: a declaration from now on finds it.
        self.current.send_replace(Some(link));
    }

    /// Declares the functions that there are to the current executor and to each that follows it.
    pub(super) fn declare(&self, all: Vec<FunctionSpec>) {
        let all = Arc::new(all);
        let mut functions = lock(&self.functions);
        *functions = Some(Arc::clone(&all));
        if let Some(link) = &*self.current.borrow() {
            link.change(|table| table.declare(all));
        }
    }

    /// Gives nothing new to this executor. True if it was the current one.
    pub(super) fn unmake_current(&self, link: &Arc<Link>, why: String) -> bool {
        let dropped = self.current.send_if_modified(|current| {
            let dropped = current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, link));
            if dropped {
                *current = None;
            }
            dropped
        });
        if dropped {
            self.note_trouble(why);
        }
        dropped
    }

    pub(super) fn note_trouble(&self, why: String) {
        *lock(&self.trouble) = why;
    }

    pub(super) fn trouble(&self) -> String {
        lock(&self.trouble).clone()
    }

    /// Starts a new executor in place of one that died, after a wait that grows while they keep dying.
    pub(super) async fn replace(self: Arc<Self>) {
        loop {
            let delay = self.delay();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.ending.cancelled() => return,
            }
            let started = tokio::select! {
                started = self.start_new() => started,
                () = self.closed.cancelled() => return,
            };
            match started {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(%error, "no executor can be started");
                    self.note_trouble(error.to_string());
                }
            }
        }
    }

    pub(super) fn delay(&self) -> Duration {
        let mut backoff = lock(&self.backoff);
        let now = Instant::now();
        // Of this span the longest wait is not its life.
        if now.duration_since(backoff.since) > MAX_REPLACE_DELAY * 2 {
            backoff.next = MIN_REPLACE_DELAY;
        }
        let delay = backoff.next;
        *backoff = Backoff {
            next: (delay * 2).min(MAX_REPLACE_DELAY),
            since: now,
        };
        delay
    }
}

/// Waits for an executor of ours, so that it does not stay a zombie.
async fn reap(shared: Arc<Shared>, mut child: Child) {
    tokio::select! {
        _ = child.wait() => {}
        () = shared.closed.cancelled() => {}
    }
}
