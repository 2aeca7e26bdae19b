//! A journal that takes its time: around every write it yields a random number of times, so that a crash can fall
//! before a write, after it, and between it and its answer. It can also be told to fail.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tripline_journal::{
    Accepted, Health, Journal, JournalError, MemoryJournal, NewInvocation, Page, Portion, Purged,
    Query, Queued, Retention, Settled,
};
use tripline_model::{
    Cursors, Ending, Execution, FunctionName, Invocation, InvocationState, Offer, RequestId,
    Timestamp, TriggerName,
};

/// Which write is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Accept,
    Start,
    Finish,
    CancelDamaged,
}

pub(super) struct Yielding {
    inner: Arc<MemoryJournal>,
    random: Mutex<Random>,
    /// Failures to come; those of one write in their order.
    pub(super) failures: Mutex<VecDeque<(Write, JournalError)>>,
    /// Ids that a queue is read with as damaged, whatever is kept.
    pub(super) misread: Mutex<BTreeSet<RequestId>>,
    /// How many are counted in each queue that are not found there.
    pub(super) missing: AtomicU64,
}

/// A small generator: the same seed gives the same sequence.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

// === impl Random ===

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

// === impl Yielding ===

impl Yielding {
    pub(super) fn new(inner: Arc<MemoryJournal>, seed: u64) -> Self {
        Self {
            inner,
            random: Mutex::new(Random::new(seed)),
            failures: Mutex::default(),
            misread: Mutex::default(),
            missing: AtomicU64::new(0),
        }
    }

    async fn pause(&self) {
        let turns = self.random.lock().unwrap().below(4);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    fn fail(&self, write: Write) -> Result<(), JournalError> {
        let mut failures = self.failures.lock().unwrap();
        let place = failures.iter().position(|(at, _)| *at == write);
        match place.and_then(|place| failures.remove(place)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Journal for Yielding {
    async fn accept(&self, batch: Vec<NewInvocation>) -> Result<Vec<Accepted>, JournalError> {
        self.pause().await;
        self.fail(Write::Accept)?;
        let answer = self.inner.accept(batch).await;
        self.pause().await;
        answer
    }

    async fn start(&self, id: RequestId, at: Timestamp) -> Result<(), JournalError> {
        self.pause().await;
        self.fail(Write::Start)?;
        let answer = self.inner.start(id, at).await;
        self.pause().await;
        answer
    }

    async fn finish(&self, id: RequestId, ending: Ending) -> Result<(), JournalError> {
        self.pause().await;
        self.fail(Write::Finish)?;
        let answer = self.inner.finish(id, ending).await;
        self.pause().await;
        answer
    }

    async fn queued(
        &self,
        function: &FunctionName,
        except: &Arc<HashSet<RequestId>>,
        most: Portion,
    ) -> Result<Queued, JournalError> {
        let mut answer = self.inner.queued(function, except, most).await?;
        let misread = self.misread.lock().unwrap().clone();
        let is_read = |one: &Invocation| !misread.contains(&one.request_id);
        answer.invocations.retain(is_read);
        let misread = misread.into_iter().filter(|id| !except.contains(id));
        answer.damaged.extend(misread);
        self.pause().await;
        Ok(answer)
    }

    async fn cancel_damaged(
        &self,
        function: &FunctionName,
        id: RequestId,
        at: Timestamp,
    ) -> Result<Settled, JournalError> {
        self.pause().await;
        self.fail(Write::CancelDamaged)?;
        let answer = self.inner.cancel_damaged(function, id, at).await;
        self.pause().await;
        answer
    }

    async fn get(&self, id: RequestId) -> Result<Option<Invocation>, JournalError> {
        let answer = Journal::get(self.inner.as_ref(), id).await;
        self.pause().await;
        answer
    }

    async fn find_identity(&self, offer: &Offer) -> Result<Option<Accepted>, JournalError> {
        self.inner.find_identity(offer).await
    }

    async fn queue_lengths(&self) -> Result<Vec<(FunctionName, u64)>, JournalError> {
        let mut lengths = self.inner.queue_lengths().await?;
        for (_, length) in &mut lengths {
            *length += self.missing.load(Ordering::Relaxed);
        }
        Ok(lengths)
    }

    async fn lose_running(
        &self,
        at: Timestamp,
        reason: &str,
        except: &Arc<HashSet<RequestId>>,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let step = self.inner.lose_running(at, reason, except, limit.min(2));
        step.await
    }

    async fn expire(
        &self,
        function: &FunctionName,
        before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let answer = self.inner.expire(function, before, at, limit).await;
        // Long enough for a start to be refused meanwhile.
        for _ in 0..4 {
            self.pause().await;
        }
        answer
    }

    async fn cancel_all(
        &self,
        function: &FunctionName,
        at: Timestamp,
        reason: &str,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        self.inner.cancel_all(function, at, reason, limit).await
    }

    async fn list(&self, query: &Query) -> Result<Page, JournalError> {
        self.inner.list(query).await
    }

    async fn counts(&self) -> Result<Vec<(FunctionName, InvocationState, u64)>, JournalError> {
        self.inner.counts().await
    }

    async fn register_functions(
        &self,
        present: &[(FunctionName, Execution)],
    ) -> Result<(), JournalError> {
        self.inner.register_functions(present).await
    }

    async fn register_triggers(
        &self,
        present: &[TriggerName],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.inner.register_triggers(present, now).await
    }

    async fn oldest_with_log_to_keep(
        &self,
        since: Timestamp,
    ) -> Result<Option<RequestId>, JournalError> {
        self.inner.oldest_with_log_to_keep(since).await
    }

    async fn purge(&self, retention: &Retention, now: Timestamp) -> Result<Purged, JournalError> {
        self.inner.purge(retention, now).await
    }

    fn hub_id(&self) -> String {
        self.inner.hub_id()
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn cursors(self: Arc<Self>) -> Arc<dyn Cursors> {
        self.inner.clone().cursors()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
