//! What all parts of a dispatcher work on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_journal::{Journal, LogStore};
use tripline_model::{Clock, End, FunctionName, RequestId, TriggerName, lock};
use tripline_runtime::{Runtime, Stop, StopSignal, Stopper, stop_channel};

use crate::DispatcherConfig;
use crate::ids::Mint;
use crate::lane::{Lane, TurnQueue};
use crate::limiter::{LIFE_START, Limiter};
use crate::recovery::Recent;
use crate::waiters::Waiters;

/// How runs are stopped when the hub stops. What was not started by then stays in the queue.
pub(crate) const HUB_STOPPED: Stop = Stop::Kill("hub_stopped");

/// One for a dispatcher.
pub(crate) struct Shared {
    pub(crate) config: DispatcherConfig,
    pub(crate) lanes: BTreeMap<FunctionName, Arc<Lane>>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) logs: Arc<dyn LogStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mint: Mutex<Mint>,
    pub(crate) limiter: Mutex<Limiter>,
    /// When the limiter's time was [`LIFE_START`].
    pub(crate) began: Instant,
    /// Waiting invocations and reserved places of all functions.
    pub(crate) places: AtomicU64,
    /// There may be a free place. Only the source whose turn it is waits for this.
    pub(crate) room: Notify,
    /// Pull sources that now offer.
    pub(crate) pulling: AtomicUsize,
    /// Pull sources wait here for their turn at the hub's limit.
    pub(crate) turns: TurnQueue,
    /// Pull sources wait here for their turn at their trigger's limit, if it has one.
    pub(crate) trigger_turns: HashMap<TriggerName, TurnQueue>,
    /// How to stop what is being started or running.
    pub(crate) stoppers: Mutex<HashMap<RequestId, Stoppable>>,
    /// Those that have ended and of which something is still alive.
    pub(crate) reclaiming: Mutex<HashSet<RequestId>>,
    /// Who waits for a start.
    pub(crate) starts: Waiters,
    /// Who waits for an end.
    pub(crate) ends: Waiters,
    /// Everything that must be waited for before the hub may go.
    pub(crate) tasks: TaskTracker,
    draining: AtomicBool,
    /// Nothing more is started or accepted.
    pub(crate) halt: CancellationToken,
    /// Runs that outlive the hub are left alone from now on.
    pub(crate) leave: CancellationToken,
    /// Nothing is waited for any more.
    pub(crate) closed: CancellationToken,
    failure: watch::Sender<Option<String>>,
}

/// What is being started or running.
pub(crate) struct Stoppable {
    stopper: Stopper,
    /// Whether it goes on when the hub stops.
    outlives_hub: bool,
}

/// What a hub is made of that comes from outside.
pub(crate) struct Outside {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) logs: Arc<dyn LogStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mint: Mint,
    /// What the life before accepted in its last second, the oldest first.
    pub(crate) recent: Vec<Recent>,
}

// === impl Stoppable ===

impl Stoppable {
    /// For a run in `runtime`.
    pub(crate) fn new(runtime: &dyn Runtime) -> (Self, StopSignal) {
        let (stopper, signal) = stop_channel();
        let outlives_hub = runtime.outlives_hub();
        let stoppable = Self {
            stopper,
            outlives_hub,
        };
        (stoppable, signal)
    }

    pub(crate) fn stop(&self, how: Stop) {
        self.stopper.stop(how);
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(config: DispatcherConfig, lanes: Vec<Lane>, outside: Outside) -> Self {
        let limits = lanes.iter().filter_map(|lane| {
            let function = &lane.function;
            function.qps.map(|limit| (function.name.clone(), limit))
        });
        let share = config.push_share_percent;
        let mut limiter = Limiter::new(config.qps, share, limits, &config.trigger_qps);
        let (now, began) = (outside.clock.now(), Instant::now());
        for one in outside.recent {
            let at = LIFE_START.saturating_sub(now.since(one.at));
            limiter.recall(at, &one.function, one.trigger.as_ref());
        }
        let places = lanes.iter().map(|lane| lane.queue().queued()).sum();
        let limited = config.trigger_qps.keys();
        let trigger_turns = limited
            .map(|name| (name.clone(), TurnQueue::default()))
            .collect();
        Self {
            trigger_turns,
            lanes: lanes
                .into_iter()
                .map(|lane| (lane.function.name.clone(), Arc::new(lane)))
                .collect(),
            config,
            journal: outside.journal,
            logs: outside.logs,
            clock: outside.clock,
            mint: Mutex::new(outside.mint),
            limiter: Mutex::new(limiter),
            began,
            places: AtomicU64::new(places),
            room: Notify::new(),
            pulling: AtomicUsize::new(0),
            turns: TurnQueue::default(),
            stoppers: Mutex::default(),
            reclaiming: Mutex::default(),
            starts: Waiters::default(),
            ends: Waiters::default(),
            tasks: TaskTracker::new(),
            draining: AtomicBool::new(false),
            halt: CancellationToken::new(),
            leave: CancellationToken::new(),
            closed: CancellationToken::new(),
            failure: watch::Sender::new(None),
        }
    }

    pub(crate) fn limiter(&self) -> MutexGuard<'_, Limiter> {
        lock(&self.limiter)
    }

    pub(crate) fn stoppers(&self) -> MutexGuard<'_, HashMap<RequestId, Stoppable>> {
        lock(&self.stoppers)
    }

    /// Asks a run to stop; whether there is one.
    pub(crate) fn stop(&self, id: RequestId, how: Stop) -> bool {
        let stoppers = self.stoppers();
        stoppers.get(&id).map(|one| one.stop(how)).is_some()
    }

    /// The hub stops: detaches from the runs that outlive it, and kills the rest.
    pub(crate) fn detach_or_kill_runs(&self) {
        let stoppers = self.stoppers();
        // Tasks that leave wait for this lock, and are counted.
        self.leave.cancel();
        let (left, killed): (Vec<_>, Vec<_>) = stoppers.values().partition(|one| one.outlives_hub);
        let (left, running) = (left.len(), killed.len());
        tracing::info!(left, "leaving what goes on without the hub");
        if running > 0 {
            tracing::warn!(running, "killing what still runs");
        }
        for one in killed {
            one.stop(HUB_STOPPED);
        }
    }

    pub(crate) fn reclaiming(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        lock(&self.reclaiming)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.halt.cancel();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// The journal is poisoned: it is unknown what the last write left on disk, so nothing more is written or started.
    pub(crate) fn fail(&self, why: String) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                tracing::error!(
                    why,
                    "the journal failed; nothing more is accepted or started"
                );
                *failure = Some(why);
            }
            first
        });
        self.halt.cancel();
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub(crate) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Takes a place in the hub's queue; `forced` takes it in any case.
    pub(crate) fn take_place(&self, forced: bool) -> bool {
        let max = if forced {
            u64::MAX
        } else {
            self.config.max_queued
        };
        let more = |now: u64| (now < max).then(|| now + 1);
        let taken = self
            .places
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok()
    }

    /// `count` places in the hub's and the function's queue are free again.
    pub(crate) fn free_places(&self, lane: &Lane, count: u64) {
        let less = |now: u64| Some(now.saturating_sub(count));
        let _ = self
            .places
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        lane.room.notify_one();
        self.room.notify_one();
    }

    /// An end is durable.
    pub(crate) fn note_end(&self, lane: &Lane, id: RequestId, end: End) {
        lane.counts().ended(end);
        self.starts.notify(id);
        self.ends.notify(id);
    }

    /// Sleeps, unless the hub stops starting; whether it slept to the end.
    pub(crate) async fn sleep_unless_halted(&self, span: Duration) -> bool {
        let halted = self.halt.cancelled();
        tokio::time::timeout(span, halted).await.is_err()
    }
}
