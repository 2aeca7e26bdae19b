//! The instances of one function. Those that work hold a slot each, of which there are `max_instances`; the idle ones
//! lie here, the longest idle first. [`pool_maintenance`](super::pool_maintenance) starts and ends the idle ones.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_model::lock;

use super::warm::{Slot, Warm};
use crate::instance::StartError;
use crate::process::Launcher;
use crate::protocol::{Credentials, FunctionSpec, WorkerSpec};

/// Time before an instance that died without work is replaced; it doubles with each that follows.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// An instance that lived so long has not died of what the one before died of.
const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(60);

/// The instances of one function.
pub(super) struct Pool {
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) worker: WorkerSpec,
    pub(super) launcher: Arc<Launcher>,
    pub(super) tasks: TaskTracker,
    pub(super) slots: Arc<Semaphore>,
    pub(super) retired: CancellationToken,
    /// For the pool's maintenance: something changed that it should look at.
    pub(super) changed: Notify,
    /// Instances that are starting, working, idle or ending.
    alive: AtomicUsize,
    state: Mutex<State>,
}

/// What the pool's lock guards.
#[derive(Default)]
pub(super) struct State {
    pub(super) idle: Vec<Idle>,
    /// When the pool's maintenance will look again by itself.
    pub(super) next_check: Option<Instant>,
    /// Before this no instance is started without work for it.
    pub(super) not_before: Option<Instant>,
    failures: u32,
}

/// An instance without work.
pub(super) struct Idle {
    pub(super) warm: Warm,
    pub(super) since: Instant,
}

/// Counts an instance.
pub(super) struct Alive(Arc<Pool>);

// === impl Pool ===

impl Pool {
    pub(super) fn new(
        spec: Arc<FunctionSpec>,
        worker: WorkerSpec,
        launcher: Arc<Launcher>,
        tasks: TaskTracker,
    ) -> Self {
        // A function without instances could not run; more slots than a semaphore has are no bound.
        let slots = (worker.max_instances.max(1) as usize).min(Semaphore::MAX_PERMITS);
        Self {
            spec,
            worker,
            launcher,
            tasks,
            slots: Arc::new(Semaphore::new(slots)),
            retired: CancellationToken::new(),
            changed: Notify::new(),
            alive: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// An instance for a run that has a slot: an idle one, rather one that has started up; or a new one.
    pub(super) async fn claim(
        self: &Arc<Self>,
        credentials: Option<&Credentials>,
    ) -> Result<Warm, StartError> {
        let warm = loop {
            match self.take_idle() {
                // What an earlier run left working was killed for it: not the fault of this one.
                Some(idle) if idle.memory.exceeded() => self.discard(idle),
                Some(idle) => break idle,
                None => break Warm::launch(self, credentials).await?,
            }
        };
        if let Some(credentials) = credentials {
            warm.set_credentials(credentials);
        }
        Ok(warm)
    }

    fn take_idle(&self) -> Option<Warm> {
        let mut state = self.lock();
        let usable = |idle: &Idle| !idle.warm.event_slot.has_exited();
        let ready = |idle: &Idle| usable(idle) && idle.warm.event_slot.has_asked();
        let place = state.idle.iter().rposition(ready);
        let place = place.or_else(|| state.idle.iter().rposition(usable))?;
        Some(state.idle.remove(place).warm)
    }

    /// Takes back an instance that has done its work well, unless it is not wanted any more.
    pub(super) fn put_back(&self, warm: Warm, slot: Slot) {
        let mut state = self.lock();
        if self.retired.is_cancelled() || warm.event_slot.has_exited() {
            drop(state);
            return warm.discard(Some(slot));
        }
        state.failures = 0;
        state.not_before = None;
        let since = Instant::now();
        state.idle.push(Idle { warm, since });
        let overdue = since + self.idle_timeout();
        let in_time = state.next_check.is_some_and(|at| at <= overdue);
        let look = !in_time && state.idle.len() > self.min();
        drop(state);
        if look {
            self.changed.notify_one();
        }
        // Given back last: who gets the slot shall find the instance.
        drop(slot);
    }

    /// A process is over. If its instance was idle, nobody else would notice.
    pub(super) fn exited(&self, name: &str, status: ExitStatus) {
        let mut state = self.lock();
        let place = state.idle.iter().position(|idle| idle.warm.name == name);
        let Some(dead) = place.map(|place| state.idle.remove(place).warm) else {
            return;
        };
        drop(state);
        if dead.launched.elapsed() >= BACKOFF_RESET_AFTER {
            self.lock().failures = 0;
        }
        self.back_off(&format!("an idle instance ended ({status})"));
        self.discard(dead);
    }

    /// Notes that an instance could not be kept warm.
    pub(super) fn back_off(&self, why: &str) {
        let mut state = self.lock();
        let doubled = FIRST_BACKOFF.saturating_mul(1 << state.failures.min(6));
        let pause = doubled.min(MAX_BACKOFF);
        state.failures = state.failures.saturating_add(1);
        state.not_before = Some(Instant::now() + pause);
        drop(state);
        let function = &self.spec.name;
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(%function, pause_ms, "{why}; the next is started after a pause");
        self.changed.notify_one();
    }

    /// Ends the idle instances, and those that work when they have done their work.
    pub(super) fn retire(&self) {
        let idle = {
            let mut state = self.lock();
            self.retired.cancel();
            std::mem::take(&mut state.idle)
        };
        for idle in idle {
            self.discard(idle.warm);
        }
    }

    /// Ends an idle instance. It holds a slot, if one is free, until nothing of it is left.
    pub(super) fn discard(&self, warm: Warm) {
        warm.discard(self.slots.clone().try_acquire_owned().ok());
    }

    /// Instances that are starting, working, idle or ending.
    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// Instances that are kept without work.
    pub(super) fn min(&self) -> usize {
        self.worker.min_instances.min(self.worker.max_instances) as usize
    }

    /// How long an instance beyond the minimum may be idle.
    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.worker.idle_timeout_ms)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// === impl Alive ===

impl Alive {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        pool.alive.fetch_add(1, Ordering::Relaxed);
        Self(pool.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}
