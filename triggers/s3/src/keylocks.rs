//! One at a time per object: a notification and the listing must not both take the same object for news.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tripline_model::lock;

/// Which objects are being worked on.
#[derive(Default)]
pub(crate) struct KeyLocks {
    held: Mutex<HashSet<String>>,
    freed: Notify,
}

/// Holds some keys; dropping it lets them go.
pub(crate) struct Held {
    locks: Arc<KeyLocks>,
    keys: Vec<String>,
}

// === impl KeyLocks ===

impl KeyLocks {
    /// Waits until nobody holds any of `keys`, then holds all of them: all or none, so that two cannot wait for each
    /// other.
    pub(crate) async fn hold(self: &Arc<Self>, mut keys: Vec<String>) -> Held {
        keys.sort_unstable();
        keys.dedup();
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before the look: what is let go from here on wakes us.
            freed.as_mut().enable();
            if self.try_hold(&keys) {
                let locks = Arc::clone(self);
                return Held { locks, keys };
            }
            freed.await;
        }
    }

    fn try_hold(&self, keys: &[String]) -> bool {
        let mut held = lock(&self.held);
        let free = !keys.iter().any(|key| held.contains(key));
        if free {
            held.extend(keys.iter().cloned());
        }
        free
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = lock(&self.locks.held);
        for key in &self.keys {
            held.remove(key);
        }
        drop(held);
        self.locks.freed.notify_waiters();
    }
}
