//! The runs that are held: started for a hub, and not forgotten by one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_model::{Clock, RequestId, lock};

use super::kinds::Kinds;
use super::outbox::Outbox;
use super::outcome::EXECUTOR_ENDS;
use super::ready::Ready;
use super::run_control::{RunControl, run_control};
use super::run_task::RunTask;
use crate::protocol::{Credentials, FunctionSpec, HeldRun, Start, StopHow};

/// The runs that are held, and the functions that are declared.
pub(super) struct Runs {
    pub(super) kinds: Arc<dyn Kinds>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ready: Arc<Ready>,
    spill: PathBuf,
    table: Mutex<HashMap<RequestId, Run>>,
    functions: Mutex<HashMap<String, Arc<FunctionSpec>>>,
    retired: AtomicBool,
    tasks: TaskTracker,
    /// Ends all runs on the spot.
    abandoned: CancellationToken,
    /// That the last run went, or that there will be no more.
    done: Notify,
}

/// A run that is held.
#[derive(Clone)]
struct Run {
    function: String,
    outbox: Outbox,
    control: Arc<RunControl>,
}

// === impl Runs ===

impl Runs {
    /// No runs. What their memory has no room for goes to the directory `spill`.
    pub(super) fn new(kinds: Arc<dyn Kinds>, clock: Arc<dyn Clock>, spill: PathBuf) -> Self {
        Self {
            kinds,
            clock,
            ready: Arc::new(Ready::default()),
            spill,
            table: Mutex::default(),
            functions: Mutex::default(),
            retired: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            abandoned: CancellationToken::new(),
            done: Notify::new(),
        }
    }

    /// Replaces the functions that there are.
    pub(super) fn declare(&self, functions: Vec<FunctionSpec>) {
        let functions: Vec<_> = functions.into_iter().map(Arc::new).collect();
        let named = functions.iter().map(|f| (f.name.clone(), Arc::clone(f)));
        *lock(&self.functions) = named.collect();
        // Nothing is kept warm for what will not be started.
        if !self.is_retired() {
            self.kinds.declare(&functions);
        }
    }

    /// Starts a run, to which the connection of number `subscriber` is subscribed. A run that is held is not started
    /// again.
    pub(super) fn start(self: &Arc<Self>, start: Start, data: Bytes, subscriber: u64) {
        let Ok(id) = start.run.parse::<RequestId>() else {
            tracing::warn!(run = start.run, "not started: this is not a RequestId");
            return;
        };
        let function = lock(&self.functions).get(&start.function).cloned();
        let function = match function {
            _ if self.is_retired() => Err("this executor starts nothing any more".to_owned()),
            Some(function) => Ok(function),
            None => Err(format!("there is no function `{}`", start.function)),
        };
        let mut table = lock(&self.table);
        if table.contains_key(&id) {
            tracing::warn!(run = %id, "not started: this run was started before");
            return;
        }
        let (ready, clock) = (Arc::clone(&self.ready), Arc::clone(&self.clock));
        let outbox = Outbox::new(id, &start, &self.spill, ready, clock);
        outbox.attach(subscriber, 0);
        let (control, control_receiver) = run_control();
        let run = Run {
            function: start.function.clone(),
            outbox: outbox.clone(),
            control: Arc::new(control),
        };
        table.insert(id, run);
        drop(table);
        let task = RunTask {
            runs: Arc::clone(self),
            id,
            outbox,
        };
        let abandoned = self.abandoned.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task.run(function, start, data, control_receiver) => {}
                () = abandoned.cancelled() => {}
            }
        });
    }

    /// Asks a run to stop, if it is held.
    pub(super) fn stop(&self, run: &str, how: StopHow) {
        if let Some((_, run)) = self.find(run) {
            run.control.stop(how);
        }
    }

    /// Hands new credentials to a run, if it is held.
    pub(super) fn renew(&self, run: &str, credentials: Credentials) {
        if let Some((_, run)) = self.find(run) {
            run.control.renew(credentials);
        }
    }

    /// Subscribes the connection of number `subscriber` to a run, and to its lines after `after`.
    pub(super) fn attach(&self, run: &str, after: u64, subscriber: u64) {
        match self.find(run) {
            Some((_, run)) => run.outbox.attach(subscriber, after),
            None => tracing::warn!(run, "a hub asks for a run that is not held"),
        }
    }

    /// Drops lines of a run.
    pub(super) fn keep(&self, run: &str, line: u64) {
        if let Some((_, run)) = self.find(run) {
            run.outbox.keep(line);
        }
    }

    /// Drops a run that is over, or what can be dropped while something of it is alive.
    pub(super) fn forget(&self, run: &str) {
        if let Some((id, run)) = self.find(run) {
            if !run.outbox.forget() {
                tracing::warn!(run = %id, "not forgotten: this run is not over");
            }
            self.drop_if_done(id);
        }
    }

    /// Nothing is started from now on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        self.kinds.retire();
        self.done.notify_one();
    }

    /// Nobody is subscribed to any run from now on.
    pub(super) fn detach(&self) {
        for (id, outbox) in self.outboxes() {
            outbox.detach();
            self.drop_if_done(id);
        }
    }

    /// What a run has to send.
    pub(super) fn outbox(&self, id: RequestId) -> Option<Outbox> {
        lock(&self.table).get(&id).map(|run| run.outbox.clone())
    }

    /// Drops a run with nothing more to send.
    pub(super) fn drop_if_done(&self, id: RequestId) {
        let mut table = lock(&self.table);
        if table.get(&id).is_some_and(|run| run.outbox.is_done()) {
            let run = table.remove(&id);
            let last = table.is_empty();
            drop((table, run));
            if last {
                self.done.notify_one();
            }
        }
    }

    /// All runs, as they are listed to a hub.
    pub(super) fn held(&self) -> Vec<HeldRun> {
        let table = lock(&self.table);
        let held = table.iter().map(|(id, run)| HeldRun {
            run: id.to_string(),
            function: run.function.clone(),
            ended: run.outbox.is_over(),
        });
        held.collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.table).is_empty()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Waits until there may be no runs any more, or no new ones.
    pub(super) async fn done(&self) {
        self.done.notified().await;
    }

    /// Kills all runs and waits until they are over; after `patience` they are dropped, which kills them again.
    pub(super) async fn kill_all(&self, patience: Duration) {
        self.retire();
        for run in lock(&self.table).values() {
            run.control.stop(StopHow::Kill(EXECUTOR_ENDS.to_owned()));
        }
        self.tasks.close();
        if timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::error!("runs did not end when they were killed, and are left");
            self.abandoned.cancel();
            self.tasks.wait().await;
        }
    }

    fn find(&self, run: &str) -> Option<(RequestId, Run)> {
        let id = run.parse().ok()?;
        let run = lock(&self.table).get(&id).cloned()?;
        Some((id, run))
    }

    fn outboxes(&self) -> Vec<(RequestId, Outbox)> {
        let table = lock(&self.table);
        let outboxes = table.iter().map(|(id, run)| (*id, run.outbox.clone()));
        outboxes.collect()
    }
}
