//! A hub that records what it is offered, and refuses or holds back answers as the test configures it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tripline_model::{
    Dispatch, Ending, Function, FunctionName, Invocation, Offer, Receipt, Rejected, RequestId,
    Stopping, lock,
};

use super::ledger::Ledger;
use super::{MemoryCursors, PATIENCE};

/// How long `dispatch_all` waits before it offers again to a full queue.
const QUEUE_RETRY_DELAY: Duration = Duration::from_millis(10);

/// [`Dispatch`] in memory. Like the real one it knows repeats by their identity, writes an offer's notes with its
/// acceptance, and waits in `dispatch_all` where `try_dispatch` refuses for a limit.
pub struct RecordingDispatch {
    ledger: Mutex<Ledger>,
    cursors: Arc<MemoryCursors>,
    /// Whether acceptances are held back. Also signals every other change.
    changes: watch::Sender<Held>,
}

/// Whether acceptances are held back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    Yes,
}

// === impl RecordingDispatch ===

impl RecordingDispatch {
    /// A hub without functions, which keeps watermarks and notes in `cursors`.
    pub fn new(cursors: Arc<MemoryCursors>) -> Self {
        Self {
            ledger: Mutex::new(Ledger::new(Arc::clone(&cursors))),
            cursors,
            changes: watch::Sender::new(Held::No),
        }
    }

    /// Makes a function known; offers to others are refused.
    pub fn add_function(&self, function: Function) {
        let name = function.name.clone();
        self.ledger().functions.insert(name, function);
    }

    /// Where watermarks and notes are.
    pub fn cursors(&self) -> &Arc<MemoryCursors> {
        &self.cursors
    }

    /// Refuses the next offer with `rejected`; called again, the one after it, too.
    pub fn reject_next(&self, rejected: Rejected) {
        self.ledger().script.push_back(rejected);
    }

    /// Refuses every offer with `rejected`, or none any more.
    pub fn reject_all(&self, rejected: Option<Rejected>) {
        self.ledger().refuse_all = rejected;
        self.notify();
    }

    /// Holds every answer back, and with it the acceptance: nothing is on disk yet.
    pub fn hold(&self) {
        self.changes.send_replace(Held::Yes);
    }

    /// Answers what was held back.
    pub fn release(&self) {
        self.changes.send_replace(Held::No);
    }

    /// Lets every wait for the end of an invocation return that the hub is stopping.
    pub fn stop(&self) {
        self.ledger().is_stopping = true;
        self.notify();
    }

    /// Sets how an invocation ended, for `Dispatch::ended`.
    pub fn end(&self, request_id: RequestId, ending: Ending) {
        self.ledger().endings.insert(request_id, ending);
        self.notify();
    }

    /// Sets how every invocation ends that has no ending of its own.
    pub fn end_all(&self, ending: Ending) {
        self.ledger().end_all = Some(ending);
        self.notify();
    }

    /// Every offer so far in the order of arrival: refused ones, repeats and those held back included.
    pub fn offered(&self) -> Vec<Offer> {
        self.ledger().offered.clone()
    }

    /// The accepted offers so far, in order, each once.
    pub fn accepted(&self) -> Vec<(RequestId, Offer)> {
        self.ledger().accepted.clone()
    }

    /// Waits until `count` offers have arrived (see [`RecordingDispatch::offered`]) and returns all there are.
    ///
    /// # Panics
    /// They do not arrive within [`PATIENCE`].
    pub async fn wait_offered(&self, count: usize) -> Vec<Offer> {
        let so_far = || self.ledger().offered.len();
        self.wait_for("offered", count, so_far).await;
        self.offered()
    }

    /// Waits until `count` offers have been accepted and returns all that are.
    ///
    /// # Panics
    /// They are not within [`PATIENCE`].
    pub async fn wait_accepted(&self, count: usize) -> Vec<(RequestId, Offer)> {
        let so_far = || self.ledger().accepted.len();
        self.wait_for("accepted", count, so_far).await;
        self.accepted()
    }

    async fn wait_for(&self, what: &str, count: usize, so_far: impl Fn() -> usize) {
        let mut changes = self.changes.subscribe();
        let wait = async {
            while so_far() < count {
                // The sender is in `self`: it cannot be gone.
                let _ = changes.changed().await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            let so_far = so_far();
            panic!("{so_far} of {count} events were {what} within {PATIENCE:?}");
        }
    }

    fn arrived(&self, offers: &[Offer]) {
        self.ledger().offered.extend_from_slice(offers);
        self.notify();
    }

    async fn answer(&self, offer: Offer) -> Result<Receipt, Rejected> {
        let mut changes = self.changes.subscribe();
        let _ = changes.wait_for(|held| *held == Held::No).await;
        let answer = self.ledger().answer(offer);
        self.notify();
        answer
    }

    fn notify(&self) {
        self.changes.send_modify(|_| {});
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }
}

#[async_trait]
impl Dispatch for RecordingDispatch {
    async fn try_dispatch(&self, offer: Offer) -> Result<Receipt, Rejected> {
        self.arrived(std::slice::from_ref(&offer));
        self.answer(offer).await
    }

    async fn try_dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        self.arrived(&offers);
        let mut answers = Vec::with_capacity(offers.len());
        for offer in offers {
            answers.push(self.answer(offer).await);
        }
        answers
    }

    async fn dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        self.arrived(&offers);
        let mut answers = Vec::with_capacity(offers.len());
        for offer in offers {
            let answer = loop {
                match self.answer(offer.clone()).await {
                    Err(Rejected::OverLimit { retry_after, .. }) => sleep(retry_after).await,
                    Err(Rejected::QueueFull { .. }) => sleep(QUEUE_RETRY_DELAY).await,
                    answer => break answer,
                }
            };
            answers.push(answer);
        }
        answers
    }

    fn function(&self, name: &FunctionName) -> Option<Function> {
        self.ledger().functions.get(name).cloned()
    }

    async fn ended(&self, request_id: RequestId) -> Result<Option<Invocation>, Stopping> {
        let mut changes = self.changes.subscribe();
        loop {
            if !self.ledger().is_accepted(request_id) {
                return Ok(None);
            }
            let ended = self.ledger().ended(request_id);
            if ended.is_some() {
                return Ok(ended);
            }
            if self.ledger().is_stopping {
                return Err(Stopping);
            }
            let _ = changes.changed().await;
        }
    }
}

#[cfg(test)]
mod tests;
