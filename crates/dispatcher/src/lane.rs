//! One function's way through the dispatcher.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Gauge, gauge};
use tokio::sync::{Notify, Semaphore};
use tripline_model::Function;

use crate::FunctionStatus;
use crate::queue::Queue;

/// One function and what it has to do.
pub(crate) struct Lane {
    pub(crate) function: Arc<Function>,
    queue: Mutex<Queue>,
    /// Held by whoever reads waiting work from the journal, or ends it there: they must not cross.
    pub(crate) feed: tokio::sync::Mutex<()>,
    /// Pull sources stand in line here, so that they are served in turn.
    pub(crate) line: Arc<tokio::sync::Mutex<()>>,
    /// There may be something to start.
    pub(crate) work: Notify,
    /// There may be room in the queue. Only the first in line listens.
    pub(crate) room: Notify,
    /// One permit for each run at the same time.
    pub(crate) slots: Arc<Semaphore>,
    running: AtomicU64,
    queued_gauge: Gauge,
    running_gauge: Gauge,
}

// === impl Lane ===

impl Lane {
    pub(crate) fn new(function: Function, queued: u64) -> Self {
        let name = function.name.to_string();
        let slots = usize::try_from(function.concurrency.get()).unwrap_or(usize::MAX);
        Self {
            function: Arc::new(function),
            queue: Mutex::new(Queue::with_queued(queued)),
            feed: tokio::sync::Mutex::default(),
            line: Arc::default(),
            work: Notify::new(),
            room: Notify::new(),
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            running: AtomicU64::new(0),
            queued_gauge: gauge!("tripline_queued", "function" => name.clone()),
            running_gauge: gauge!("tripline_running", "function" => name),
        }
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> FunctionStatus {
        FunctionStatus {
            function: Function::clone(&self.function),
            queued: self.queue().queued(),
            running: self.running(),
        }
    }

    pub(crate) fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// One more run, or one less.
    pub(crate) fn count_running(&self, more: bool) {
        if more {
            self.running.fetch_add(1, Ordering::Relaxed);
        } else {
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge of a small number")]
        self.running_gauge.set(self.running() as f64);
    }

    /// Shows the length of the queue.
    pub(crate) fn show_queued(&self) {
        let queued = self.queue().queued();
        #[expect(clippy::cast_precision_loss, reason = "a gauge of a bounded number")]
        self.queued_gauge.set(queued as f64);
    }
}
