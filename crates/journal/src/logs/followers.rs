//! Which logs are followed, and wakes their followers. The writer only looks up the logs it wrote to, and never waits.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;
use tripline_model::{RequestId, lock};

type Followed = HashMap<RequestId, watch::Sender<u64>>;

/// The logs that somebody follows; `None` once the store is closed.
pub(super) struct Followers(Mutex<Option<Followed>>);

/// One follower, until it is dropped.
pub(super) struct Follower<'f> {
    followers: &'f Followers,
    id: RequestId,
    news: Option<watch::Receiver<u64>>,
}

// === impl Followers ===

impl Default for Followers {
    fn default() -> Self {
        Self(Mutex::new(Some(Followed::new())))
    }
}

impl Followers {
    /// Begins to follow a log.
    pub(super) fn follow(&self, id: RequestId) -> Follower<'_> {
        let mut followed = self.lock();
        let news = followed.as_mut().map(|followed| {
            let log = followed.entry(id);
            log.or_insert_with(|| watch::channel(0).0).subscribe()
        });
        Follower {
            followers: self,
            id,
            news,
        }
    }

    /// Tells the followers of a log the number of its last line.
    pub(super) fn tell(&self, id: RequestId, seq: u64) {
        if let Some(log) = self.lock().as_ref().and_then(|followed| followed.get(&id)) {
            log.send_replace(seq);
        }
    }

    /// Wakes all followers, and lets later ones not wait.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Followed>> {
        lock(&self.0)
    }
}

// === impl Follower ===

impl Follower<'_> {
    /// Returns when the log has a line after `after`, or the store is closed.
    pub(super) async fn beyond(&mut self, after: u64) {
        if let Some(news) = &mut self.news {
            // An error means that the store is closed, which also ends the wait.
            let _ = news.wait_for(|seq| *seq > after).await;
        }
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        drop(self.news.take());
        let mut followed = self.followers.lock();
        let Some(followed) = followed.as_mut() else {
            return;
        };
        let alone = |log: &watch::Sender<u64>| log.receiver_count() == 0;
        if followed.get(&self.id).is_some_and(alone) {
            followed.remove(&self.id);
        }
    }
}
