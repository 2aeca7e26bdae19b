//! A journal in memory, for tests of what uses a journal. It passes the same contract tests as the SQLite one, and can be
//! told to be full or poisoned, or that a record is damaged.

mod state;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use tripline_model::{
    Clock, CursorEntry, CursorError, Cursors, DAMAGED, End, Ending, Execution, FunctionName,
    Invocation, InvocationState, Offer, RequestId, Timestamp, Transition, TriggerName, lock,
};

use crate::{
    Accepted, Health, Journal, JournalError, NewInvocation, Page, Portion, Purged, Query, Queued,
    Retention, Settled,
};
use state::State;

/// A journal in memory.
pub struct MemoryJournal {
    clock: Arc<dyn Clock>,
    hub_id: String,
    state: Mutex<State>,
}

// === impl MemoryJournal ===

impl MemoryJournal {
    /// An empty journal; `clock` tells which identities are still within their window.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            hub_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            state: Mutex::new(State::default()),
        }
    }

    /// From now on behaves like a journal with this health: `Full` refuses new events, `Poisoned` every write.
    pub fn set_health(&self, health: Health) {
        self.lock().health = health;
    }

    /// From now on this record is not what was written, as if the disk had changed it.
    pub fn damage(&self, id: RequestId) {
        self.lock().damaged.insert(id);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn growing(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let state = self.writing()?;
        match state.health {
            Health::Full => Err(JournalError::Full),
            Health::Ok | Health::Poisoned(_) => Ok(state),
        }
    }

    fn writing(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let state = self.reading()?;
        match &state.health {
            Health::Poisoned(why) => Err(JournalError::Poisoned(why.clone())),
            Health::Ok | Health::Full => Ok(state),
        }
    }

    fn reading(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let state = self.lock();
        if state.closed {
            Err(JournalError::Unavailable(
                "the journal is closed".to_owned(),
            ))
        } else {
            Ok(state)
        }
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn accept(&self, batch: Vec<NewInvocation>) -> Result<Vec<Accepted>, JournalError> {
        let mut state = self.growing()?;
        if let Some(id) = state.duplicate(&batch) {
            return Err(JournalError::Duplicate(id));
        }
        Ok(batch.into_iter().map(|new| state.accept(new)).collect())
    }

    async fn find_identity(&self, offer: &Offer) -> Result<Option<Accepted>, JournalError> {
        Ok(self.reading()?.find(offer, self.clock.now()))
    }

    async fn start(&self, id: RequestId, at: Timestamp) -> Result<(), JournalError> {
        let mut state = self.writing()?;
        state.apply(id, Transition::Start)?.started_at = Some(at);
        Ok(())
    }

    async fn finish(&self, id: RequestId, ending: Ending) -> Result<(), JournalError> {
        self.writing()?.end(id, ending, self.clock.now())
    }

    async fn queued(
        &self,
        function: &FunctionName,
        except: &Arc<HashSet<RequestId>>,
        most: Portion,
    ) -> Result<Queued, JournalError> {
        let state = self.reading()?;
        let mut waiting: Vec<_> = state
            .waiting(function)
            .filter(|invocation| !except.contains(&invocation.request_id))
            .collect();
        waiting.sort_by_key(|invocation| (invocation.accepted_at, invocation.request_id));
        let (mut queued, mut bytes) = (Queued::default(), 0);
        for invocation in waiting {
            bytes += invocation.event.weight() as u64;
            if !most.takes(queued.invocations.len() + queued.damaged.len(), bytes) {
                break;
            }
            match state.damaged.contains(&invocation.request_id) {
                true => queued.damaged.push(invocation.request_id),
                false => queued.invocations.push(invocation.clone()),
            }
        }
        Ok(queued)
    }

    async fn cancel_damaged(
        &self,
        function: &FunctionName,
        id: RequestId,
        at: Timestamp,
    ) -> Result<Settled, JournalError> {
        let mut state = self.writing()?;
        let found = state.waiting(function).find(|one| one.request_id == id);
        let Some(invocation) = found.cloned() else {
            return Ok(Settled::NotThere);
        };
        if !state.damaged.remove(&id) {
            return Ok(Settled::Whole(Box::new(invocation)));
        }
        state.blank(id);
        let ending = Ending::new(End::Cancelled, at, DAMAGED);
        state.end(id, ending, self.clock.now())?;
        Ok(Settled::Ended)
    }

    async fn queue_lengths(&self) -> Result<Vec<(FunctionName, u64)>, JournalError> {
        let counts = self.reading()?.counts();
        let waiting = counts.into_iter().filter_map(|((function, state), n)| {
            (state == InvocationState::Accepted).then_some((function, n))
        });
        Ok(waiting.collect())
    }

    async fn lose_running(
        &self,
        at: Timestamp,
        reason: &str,
        except: &Arc<HashSet<RequestId>>,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let mut state = self.writing()?;
        let running = |i: &&Invocation| {
            i.state == InvocationState::Running && !except.contains(&i.request_id)
        };
        let ids = state.ids(running, limit);
        state.end_all(ids, &Ending::new(End::Lost, at, reason), self.clock.now())
    }

    async fn expire(
        &self,
        function: &FunctionName,
        accepted_before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let mut state = self.writing()?;
        let old = |i: &&Invocation| {
            i.state == InvocationState::Accepted
                && i.function == *function
                && i.accepted_at < accepted_before
        };
        let ids = state.ids(old, limit);
        state.end_all(
            ids,
            &Ending::new(End::Expired, at, "max_event_age"),
            self.clock.now(),
        )
    }

    async fn cancel_all(
        &self,
        function: &FunctionName,
        at: Timestamp,
        reason: &str,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let mut state = self.writing()?;
        let waiting =
            |i: &&Invocation| i.state == InvocationState::Accepted && i.function == *function;
        let ids = state.ids(waiting, limit);
        state.end_all(
            ids,
            &Ending::new(End::Cancelled, at, reason),
            self.clock.now(),
        )
    }

    async fn get(&self, id: RequestId) -> Result<Option<Invocation>, JournalError> {
        let state = self.reading()?;
        if state.damaged.contains(&id) {
            return Err(JournalError::Damaged(id));
        }
        Ok(state.invocations.get(&id).cloned())
    }

    async fn list(&self, query: &Query) -> Result<Page, JournalError> {
        Ok(self.reading()?.list(query))
    }

    async fn counts(&self) -> Result<Vec<(FunctionName, InvocationState, u64)>, JournalError> {
        let counts = self.reading()?.counts();
        let flat = |((function, state), n)| (function, state, n);
        Ok(counts.into_iter().map(flat).collect())
    }

    async fn register_functions(
        &self,
        present: &[(FunctionName, Execution)],
    ) -> Result<(), JournalError> {
        self.writing()?.register(present)
    }

    async fn register_triggers(
        &self,
        present: &[TriggerName],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.writing()?.register_triggers(present, now);
        Ok(())
    }

    async fn oldest_with_log_to_keep(
        &self,
        since: Timestamp,
    ) -> Result<Option<RequestId>, JournalError> {
        Ok(self.reading()?.oldest_with_log_to_keep(since))
    }

    async fn purge(&self, retention: &Retention, now: Timestamp) -> Result<Purged, JournalError> {
        Ok(self.writing()?.purge(retention, now))
    }

    fn hub_id(&self) -> String {
        self.hub_id.clone()
    }

    fn health(&self) -> Health {
        self.lock().health.clone()
    }

    fn cursors(self: Arc<Self>) -> Arc<dyn Cursors> {
        self
    }

    async fn close(&self) {
        self.lock().closed = true;
    }
}

#[async_trait]
impl Cursors for MemoryJournal {
    async fn get(&self, trigger: &TriggerName, key: &[u8]) -> Result<Option<Bytes>, CursorError> {
        let state = self.reading().map_err(cursor_error)?;
        let key = (trigger.clone(), Bytes::copy_from_slice(key));
        Ok(state.cursors.get(&key).cloned())
    }

    async fn range(
        &self,
        trigger: &TriggerName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<CursorEntry>, CursorError> {
        let state = self.reading().map_err(cursor_error)?;
        let behind = |key: &Bytes| after.is_none_or(|after| key.as_ref().cmp(after).is_gt());
        let wanted = |(owner, key): &(TriggerName, Bytes)| owner == trigger && behind(key);
        let found = state.cursors.iter().filter(|(place, _)| wanted(place));
        let entries = found.map(|((_, key), value)| CursorEntry {
            key: key.clone(),
            value: Some(value.clone()),
        });
        Ok(entries.take(limit).collect())
    }

    async fn put(
        &self,
        trigger: &TriggerName,
        entries: Vec<CursorEntry>,
    ) -> Result<(), CursorError> {
        self.growing()
            .map_err(cursor_error)?
            .put_cursors(trigger, entries);
        Ok(())
    }

    async fn watermark(
        &self,
        trigger: &TriggerName,
        stream: &str,
    ) -> Result<Option<u64>, CursorError> {
        let state = self.reading().map_err(cursor_error)?;
        let key = (Some(trigger.clone()), stream.to_owned());
        Ok(state.watermarks.get(&key).copied())
    }
}

fn cursor_error(error: JournalError) -> CursorError {
    CursorError(error.to_string())
}
