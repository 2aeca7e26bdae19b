//! What stands between the dispatcher and the journal: it takes its time, so that a crash can fall before a write,
//! after it, and between it and its answer; it notes what was asked for; and it is where some mutants are broken.

mod cursors;
mod removals;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::RwLock;
use tokio_util::task::TaskTracker;
use tripline_journal::{
    Accepted, Health, Journal, JournalError, NewInvocation, Page, Portion, Purged, Query, Queued,
    Retention, Settled, SqliteJournal,
};
use tripline_model::{
    Clock, Cursors, Ending, Execution, FunctionName, Identity, Invocation, InvocationState, Offer,
    RequestId, Timestamp, TriggerName,
};

use crate::dice::Dice;
use crate::mutant::Mutant;
use crate::world::World;
pub(crate) use cursors::Apart;

/// What the journal was asked for, in all lives.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) accepts: BTreeSet<RequestId>,
    pub(crate) starts: BTreeSet<RequestId>,
    pub(crate) ends: BTreeSet<RequestId>,
    /// For the time of an end, when the journal was asked for one of that time: first and last. Retention counts from then.
    pub(crate) recorded: BTreeMap<Timestamp, (Timestamp, Timestamp)>,
    /// Ends that took the place of others, by a mutant.
    pub(crate) overwritten: BTreeMap<RequestId, Ending>,
}

/// See the module.
pub(crate) struct Between {
    journal: Arc<SqliteJournal>,
    world: Arc<World>,
    dice: Mutex<Dice>,
    /// Starts that a mutant still has to write.
    late: Arc<Mutex<BTreeMap<RequestId, Timestamp>>>,
    /// Writes that a mutant does not wait for.
    unwatched: TaskTracker,
    /// Nothing ends during a removal: what may go is known when it begins.
    ends: RwLock<()>,
}

impl Between {
    pub(crate) fn new(journal: Arc<SqliteJournal>, world: Arc<World>, dice: Dice) -> Self {
        Self {
            journal,
            world,
            dice: Mutex::new(dice),
            late: Arc::default(),
            unwatched: TaskTracker::new(),
            ends: RwLock::default(),
        }
    }

    async fn pause(&self) {
        let turns = locked(&self.dice).below(4);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    fn note(&self, note: impl FnOnce(&mut Asked)) {
        if !self.world.fate.is_over() {
            note(&mut self.world.asked());
        }
    }

    /// An end of that time is about to be recorded.
    fn note_end(&self, at: Timestamp) {
        let now = self.world.clock.now();
        let mut asked = self.world.asked();
        let (first, last) = asked.recorded.entry(at).or_insert((now, now));
        (*first, *last) = (now.min(*first), now.max(*last));
    }

    fn note_accepts(&self, batch: &[NewInvocation]) {
        self.note(|asked| asked.accepts.extend(batch.iter().map(|new| new.request_id)));
    }

    fn note_accepted(&self, accepted: &[Accepted]) {
        if self.world.fate.is_over() {
            return;
        }
        let new = |one: &&Accepted| matches!(one, Accepted::New(_));
        let count = accepted.iter().filter(new).count();
        let now = self.world.clock.elapsed();
        if let Some(life) = self.world.history().accepted.last_mut() {
            life.extend(std::iter::repeat_n(now, count));
        }
    }

    async fn accept_broken(
        &self,
        mut batch: Vec<NewInvocation>,
    ) -> Result<Vec<Accepted>, JournalError> {
        match self.world.mutant {
            Some(Mutant::AckBeforeFlush) if batch.iter().all(is_unique) => {
                let ids = batch.iter().map(|new| Accepted::New(new.request_id));
                let answers = ids.collect();
                let journal = self.journal.clone();
                self.unwatched
                    .spawn(async move { journal.accept(batch).await });
                Ok(answers)
            }
            Some(Mutant::NoDedupe) => {
                for new in &mut batch {
                    Arc::make_mut(&mut new.offer).identity = Identity::Unique;
                }
                self.journal.accept(batch).await
            }
            Some(Mutant::TimerInMemory) => {
                let timed = |new: &&mut NewInvocation| {
                    let trigger = new.offer.trigger.as_ref();
                    trigger.is_some_and(|name| name.as_str() == "timer")
                };
                for new in batch.iter_mut().filter(timed) {
                    Arc::make_mut(&mut new.offer).identity = Identity::Unique;
                }
                self.journal.accept(batch).await
            }
            Some(Mutant::WatermarkApart) => cursors::accept(&self.journal, batch).await,
            _ => self.journal.accept(batch).await,
        }
    }

    fn shown(&self, mut invocation: Invocation) -> Invocation {
        if let Some(ending) = self.world.asked().overwritten.get(&invocation.request_id) {
            invocation.state = InvocationState::Ended(ending.end);
            invocation.ending = Some(ending.clone());
        }
        invocation
    }
}

fn is_unique(new: &NewInvocation) -> bool {
    new.offer.identity == Identity::Unique
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Journal for Between {
    async fn accept(&self, batch: Vec<NewInvocation>) -> Result<Vec<Accepted>, JournalError> {
        self.note_accepts(&batch);
        self.pause().await;
        let accepted = self.accept_broken(batch).await?;
        self.note_accepted(&accepted);
        self.pause().await;
        Ok(accepted)
    }

    async fn start(&self, id: RequestId, at: Timestamp) -> Result<(), JournalError> {
        self.note(|asked| asked.starts.extend([id]));
        self.pause().await;
        match self.world.mutant {
            Some(Mutant::StartAfterRun) => {
                locked(&self.late).insert(id, at);
            }
            Some(Mutant::StartNotFlushed) => {
                let (journal, late) = (self.journal.clone(), self.late.clone());
                locked(&late).insert(id, at);
                self.unwatched.spawn(async move {
                    // Whatever comes of it, nobody waits for it.
                    let _ = journal.start(id, at).await;
                    locked(&late).remove(&id);
                });
            }
            _ => self.journal.start(id, at).await?,
        }
        self.pause().await;
        Ok(())
    }

    async fn finish(&self, id: RequestId, ending: Ending) -> Result<(), JournalError> {
        self.note(|asked| asked.ends.extend([id]));
        self.pause().await;
        while self.world.is(Mutant::StartNotFlushed) && locked(&self.late).contains_key(&id) {
            tokio::task::yield_now().await;
        }
        let late = locked(&self.late).remove(&id);
        if let Some(at) = late {
            self.journal.start(id, at).await?;
        }
        let mut answer = {
            let _open = self.ends.read().await;
            self.note_end(ending.at);
            self.journal.finish(id, ending.clone()).await
        };
        if self.world.is(Mutant::EndOverwritesEnd)
            && matches!(answer, Err(JournalError::Illegal(_)))
        {
            self.note(|asked| asked.overwritten.extend([(id, ending)]));
            answer = Ok(());
        }
        self.pause().await;
        answer
    }

    async fn queued(
        &self,
        function: &FunctionName,
        except: &Arc<HashSet<RequestId>>,
        most: Portion,
    ) -> Result<Queued, JournalError> {
        let answer = self.journal.queued(function, except, most).await;
        self.pause().await;
        answer
    }

    async fn cancel_damaged(
        &self,
        function: &FunctionName,
        id: RequestId,
        at: Timestamp,
    ) -> Result<Settled, JournalError> {
        self.pause().await;
        let _open = self.ends.read().await;
        self.note_end(at);
        let answer = self.journal.cancel_damaged(function, id, at).await;
        self.pause().await;
        answer
    }

    async fn get(&self, id: RequestId) -> Result<Option<Invocation>, JournalError> {
        let answer = Journal::get(self.journal.as_ref(), id).await;
        self.pause().await;
        Ok(answer?.map(|found| self.shown(found)))
    }

    async fn find_identity(&self, offer: &Offer) -> Result<Option<Accepted>, JournalError> {
        let answer = self.journal.find_identity(offer).await;
        self.pause().await;
        answer
    }

    async fn queue_lengths(&self) -> Result<Vec<(FunctionName, u64)>, JournalError> {
        self.journal.queue_lengths().await
    }

    async fn lose_running(
        &self,
        at: Timestamp,
        reason: &str,
        except: &Arc<HashSet<RequestId>>,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        self.note_end(at);
        let step = self.journal.lose_running(at, reason, except, limit.min(2));
        step.await
    }

    async fn expire(
        &self,
        function: &FunctionName,
        before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let _open = self.ends.read().await;
        self.note_end(at);
        self.journal.expire(function, before, at, limit).await
    }

    async fn cancel_all(
        &self,
        function: &FunctionName,
        at: Timestamp,
        reason: &str,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let _open = self.ends.read().await;
        self.note_end(at);
        self.journal.cancel_all(function, at, reason, limit).await
    }

    async fn list(&self, query: &Query) -> Result<Page, JournalError> {
        let mut page = self.journal.list(query).await?;
        page.invocations = page
            .invocations
            .into_iter()
            .map(|one| self.shown(one))
            .collect();
        Ok(page)
    }

    async fn counts(&self) -> Result<Vec<(FunctionName, InvocationState, u64)>, JournalError> {
        self.journal.counts().await
    }

    async fn register_functions(
        &self,
        present: &[(FunctionName, Execution)],
    ) -> Result<(), JournalError> {
        self.journal.register_functions(present).await
    }

    async fn register_triggers(
        &self,
        present: &[TriggerName],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.journal.register_triggers(present, now).await
    }

    async fn oldest_with_log_to_keep(
        &self,
        since: Timestamp,
    ) -> Result<Option<RequestId>, JournalError> {
        self.journal.oldest_with_log_to_keep(since).await
    }

    async fn purge(&self, retention: &Retention, now: Timestamp) -> Result<Purged, JournalError> {
        self.remove(retention, now).await
    }

    fn hub_id(&self) -> String {
        self.journal.hub_id()
    }

    fn health(&self) -> Health {
        self.journal.health()
    }

    fn cursors(self: Arc<Self>) -> Arc<dyn Cursors> {
        if self.world.is(Mutant::WatermarkApart) {
            return Arc::new(Apart(self.journal.clone()));
        }
        self.journal.clone().cursors()
    }

    async fn close(&self) {
        self.journal.close().await;
    }
}
