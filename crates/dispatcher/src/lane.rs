//! One function's way through the dispatcher.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use metrics::{Gauge, gauge};
use tokio::sync::Notify;
use tripline_model::{Function, lock};
use tripline_runtime::Runtime;

use crate::FunctionStatus;
use crate::counts::InvocationCounts;
use crate::queue::Queue;
use crate::slots::Slots;

/// A fair queue: whoever holds the mutex has its turn.
pub(crate) type TurnQueue = Arc<tokio::sync::Mutex<()>>;

/// One function and what it has to do.
pub(crate) struct Lane {
    pub(crate) function: Arc<Function>,
    /// What runs it.
    pub(crate) runtime: Arc<dyn Runtime>,
    queue: Mutex<Queue>,
    /// Held by whoever reads waiting work from the journal, or ends it there: they must not cross.
    pub(crate) feed: tokio::sync::Mutex<()>,
    /// Pull sources of the function wait here for their turn.
    pub(crate) turns: TurnQueue,
    /// There may be something to start.
    pub(crate) work: Notify,
    /// There may be room in the queue. Only the source whose turn it is waits for this.
    pub(crate) room: Notify,
    /// One for each run at the same time, until nothing of it is alive.
    pub(crate) slots: Arc<Slots>,
    reclaim_pending: Counter,
    counts: Mutex<InvocationCounts>,
    /// Whether something waits that the journal counts and does not find.
    has_missing: AtomicBool,
}

/// A number that is shown.
struct Counter {
    value: AtomicU64,
    gauge: Gauge,
}

/// Counts one more until it is dropped.
pub(crate) struct Counted<'a>(&'a Counter);

// === impl Lane ===

impl Lane {
    /// A function of which `queued` invocations wait, and `lost` ones were found lost.
    pub(crate) fn new(
        function: Function,
        runtime: Arc<dyn Runtime>,
        queued: u64,
        lost: u64,
    ) -> Self {
        let name = function.name.to_string();
        Self {
            slots: Slots::new(function.concurrency),
            function: Arc::new(function),
            runtime,
            queue: Mutex::new(Queue::with_queued(queued)),
            feed: tokio::sync::Mutex::default(),
            turns: TurnQueue::default(),
            work: Notify::new(),
            room: Notify::new(),
            reclaim_pending: Counter {
                value: AtomicU64::new(0),
                gauge: gauge!("tripline_reclaim_pending", "function" => name),
            },
            counts: Mutex::new(InvocationCounts::recovered(queued, lost)),
            has_missing: AtomicBool::new(false),
        }
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, InvocationCounts> {
        lock(&self.counts)
    }

    pub(crate) fn status(&self) -> FunctionStatus {
        let (queued, running) = (self.queued(), self.running());
        FunctionStatus {
            function: Function::clone(&self.function),
            queued,
            running,
            reclaim_pending: self.reclaim_pending.value.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn queued(&self) -> u64 {
        self.queue().queued()
    }

    pub(crate) fn running(&self) -> u64 {
        self.counts().running()
    }

    /// The journal counts `count` more that wait than it finds. Said once: they are missed at every look.
    pub(crate) fn note_missing(&self, count: u64) {
        if !self.has_missing.swap(true, Ordering::Relaxed) {
            let function = &self.function.name;
            tracing::error!(%function, count, "waiting work is not found, so it is not run; `tripline journal check` names it");
        }
    }

    #[cfg(test)]
    pub(crate) fn has_missing(&self) -> bool {
        self.has_missing.load(Ordering::Relaxed)
    }

    /// One more has ended and is not gone.
    pub(crate) fn count_reclaim_pending(&self) -> Counted<'_> {
        self.reclaim_pending.one_more()
    }
}

// === impl Counter ===

impl Counter {
    fn one_more(&self) -> Counted<'_> {
        self.value.fetch_add(1, Ordering::Relaxed);
        self.gauge.increment(1.0);
        Counted(self)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.value.fetch_sub(1, Ordering::Relaxed);
        self.0.gauge.decrement(1.0);
    }
}
