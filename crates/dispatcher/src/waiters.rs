//! Those who wait for something to happen to one invocation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tripline_model::{RequestId, lock};

/// Who waits for which id. As large as the number of callers that wait at the same time.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<HashMap<RequestId, Crowd>>);

/// How many wait for one id, and how they are notified.
#[derive(Debug, Default)]
struct Crowd {
    count: usize,
    news: Arc<Notify>,
}

/// A place among those who wait for one id; given up when dropped.
pub(crate) struct Waiter<'a> {
    waiters: &'a Waiters,
    id: RequestId,
    pub(crate) news: Arc<Notify>,
}

// === impl Waiters ===

impl Waiters {
    pub(crate) fn join(&self, id: RequestId) -> Waiter<'_> {
        let mut map = self.map();
        let crowd = map.entry(id).or_default();
        crowd.count += 1;
        Waiter {
            waiters: self,
            id,
            news: crowd.news.clone(),
        }
    }

    /// Notifies those who wait for `id`: it has happened, and is durable.
    pub(crate) fn notify(&self, id: RequestId) {
        if let Some(crowd) = self.map().get(&id) {
            crowd.news.notify_waiters();
        }
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<RequestId, Crowd>> {
        lock(&self.0)
    }
}

// === impl Waiter ===

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut map = self.waiters.map();
        if let Some(crowd) = map.get_mut(&self.id) {
            crowd.count -= 1;
            if crowd.count == 0 {
                map.remove(&self.id);
            }
        }
    }
}
