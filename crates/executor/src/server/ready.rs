//! Which runs may have something to send to the hub. Instead of a queue of messages: what is to be sent stays in the
//! runs, where it is bounded, until the connection has room for it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tripline_model::{RequestId, lock};

/// The runs, each once, in the order in which they take their turns.
#[derive(Debug, Default)]
pub(super) struct Ready {
    turns: Mutex<Turns>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Turns {
    order: VecDeque<RequestId>,
    waiting: HashSet<RequestId>,
}

// === impl Ready ===

impl Ready {
    /// Gives a run a turn, if it waits for none.
    pub(super) fn mark(&self, run: RequestId) {
        let mut turns = self.lock();
        if turns.waiting.insert(run) {
            turns.order.push_back(run);
            self.news.notify_one();
        }
    }

    /// The run whose turn it is.
    pub(super) fn take(&self) -> Option<RequestId> {
        let mut turns = self.lock();
        let run = turns.order.pop_front()?;
        turns.waiting.remove(&run);
        Some(run)
    }

    /// Waits until a run may have a turn.
    pub(super) async fn wait(&self) {
        self.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        lock(&self.turns)
    }
}
