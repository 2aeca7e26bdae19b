//! Notifications of the Listen stream that are not dispatched yet. The inventory does not know of it, so a listing waits
//! for it before it takes anything for news.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Counts notifications on their way; they keep their order.
#[derive(Default)]
pub(crate) struct Backlog {
    received: AtomicU64,
    settled: watch::Sender<u64>,
}

// === impl Backlog ===

impl Backlog {
    /// One more notification waits for its dispatch.
    pub(crate) fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// The next `count` of those that wait are on disk, or refused for good.
    pub(crate) fn settled(&self, count: usize) {
        self.settled.send_modify(|settled| *settled += count as u64);
    }

    /// How many notifications were received so far.
    pub(crate) fn so_far(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Waits until the first `count` of them are settled. Their number is bounded by the queue; the time is not, but
    /// whatever holds them up (a limit, a full queue, a full disk) would hold up what a listing offers as well.
    pub(crate) async fn wait_settled(&self, count: u64) {
        let mut settled = self.settled.subscribe();
        // The sender is in `self`: it cannot be gone.
        let _ = settled.wait_for(|settled| *settled >= count).await;
    }
}
