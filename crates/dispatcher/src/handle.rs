//! What triggers and the API hold.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use tokio::time::timeout;
use tripline_journal::JournalError;
use tripline_model::{
    Dispatch, Function, FunctionName, Invocation, InvocationState, Offer, Receipt, Rejected,
    RequestId, Stopping,
};

use crate::shared::Shared;
use crate::waiters::Waiters;
use crate::{FunctionStatus, TerminateError, TerminateOutcome};

/// How long somebody waits for news of an invocation before the journal is asked again.
const STATE_RECHECK_INTERVAL: Duration = Duration::from_secs(30);

/// How long to wait before a journal that could not be read is asked again.
const JOURNAL_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A cheap handle to the running dispatcher.
#[derive(Clone)]
pub struct DispatcherHandle(pub(crate) Arc<Shared>);

// === impl DispatcherHandle ===

impl DispatcherHandle {
    /// Stops one invocation. One that was not started ends as `cancelled`. A running one is killed, or, with `grace`,
    /// only asked to stop (SIGTERM): if it then ends well, it has succeeded.
    pub async fn terminate(
        &self,
        id: RequestId,
        grace: bool,
    ) -> Result<TerminateOutcome, TerminateError> {
        let shared = self.0.clone();
        // In a task of the hub: a caller who hangs up must not leave an end without its bookkeeping.
        let stopping = async move { shared.terminate(id, grace).await };
        let stopped = self.0.tasks.spawn(stopping).await;
        stopped.unwrap_or_else(|failed| {
            let source = JournalError::Unavailable(failed.to_string());
            Err(TerminateError::Journal { id, source })
        })
    }

    /// From now on refuses new events and starts nothing more; what runs goes on.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Whether new events are refused because the hub is stopping.
    pub fn draining(&self) -> bool {
        self.0.is_draining()
    }

    /// Accepted invocations that wait for their start, of all functions.
    pub fn queue_len(&self) -> u64 {
        let lanes = self.0.lanes.values();
        lanes.map(|lane| lane.queued()).sum()
    }

    /// Invocations between their start and their end, of all functions.
    pub fn running(&self) -> u64 {
        self.0.lanes.values().map(|lane| lane.running()).sum()
    }

    /// Whether an invocation has ended and something of it is still alive.
    pub fn reclaim_pending(&self, id: RequestId) -> bool {
        self.0.reclaiming().contains(&id)
    }

    /// Writes how many invocations are where into the metrics, each function's numbers of one moment. Whoever renders
    /// the metrics calls this before.
    pub fn show_metrics(&self) {
        for lane in self.0.lanes.values() {
            // A copy: nobody waits for the metrics.
            let counts = lane.counts().clone();
            counts.show(&lane.function.name);
        }
        for reason in Rejected::WORDS {
            counter!("tripline_rejected_total", "reason" => reason).increment(0);
        }
    }

    /// Waits until the start of an invocation, or its end without one, is durable, and shows it then. `None` if there
    /// is no such invocation, or the hub stops before.
    pub async fn begun(&self, id: RequestId) -> Option<Invocation> {
        let begun = |state| state != InvocationState::Accepted;
        self.reached(&self.0.starts, id, begun).await.ok().flatten()
    }

    /// Waits until the state of an invocation is as wanted. `waiters`: those who are notified of it.
    async fn reached(
        &self,
        waiters: &Waiters,
        id: RequestId,
        wanted: impl Fn(InvocationState) -> bool,
    ) -> Result<Option<Invocation>, Stopping> {
        let waiter = waiters.join(id);
        loop {
            let mut news = std::pin::pin!(waiter.news.notified());
            // Listening before looking: what happens in between is not missed.
            news.as_mut().enable();
            let wait = match self.0.journal.get(id).await {
                Ok(None) => return Ok(None),
                Ok(Some(invocation)) if wanted(invocation.state) => return Ok(Some(invocation)),
                Ok(Some(_)) => STATE_RECHECK_INTERVAL,
                Err(_) => JOURNAL_RETRY_DELAY,
            };
            tokio::select! {
                biased;
                _ = timeout(wait, news) => {}
                () = self.0.closed.cancelled() => return Err(Stopping),
            }
        }
    }

    /// Every function and what it has to do, in the order of their names.
    pub fn functions(&self) -> Vec<FunctionStatus> {
        self.0.lanes.values().map(|lane| lane.status()).collect()
    }
}

#[async_trait]
impl Dispatch for DispatcherHandle {
    async fn try_dispatch(&self, offer: Offer) -> Result<Receipt, Rejected> {
        let mut answers = self.try_dispatch_all(vec![offer]).await;
        answers.pop().unwrap_or(Err(Rejected::Unknown))
    }

    async fn try_dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        counted(self.0.push(offers).await)
    }

    async fn dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        counted(self.0.pull(offers).await)
    }

    fn function(&self, name: &FunctionName) -> Option<Function> {
        let lane = self.0.lanes.get(name)?;
        Some(Function::clone(&lane.function))
    }

    async fn ended(&self, request_id: RequestId) -> Result<Option<Invocation>, Stopping> {
        self.reached(&self.0.ends, request_id, InvocationState::is_end)
            .await
    }
}

fn counted(answers: Vec<Result<Receipt, Rejected>>) -> Vec<Result<Receipt, Rejected>> {
    for rejected in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        counter!("tripline_rejected_total", "reason" => rejected.as_str()).increment(1);
    }
    answers
}
