//! A journal that notes what it has taken. Every answer is that of the journal below.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use metrics::counter;
use tokio::sync::mpsc;
use tripline_journal::{
    Accepted, Health, Journal, JournalError, NewInvocation, Page, Portion, Purged, Query, Queued,
    Retention, Settled,
};
use tripline_model::{
    Clock, Cursors, Ending, Event, Execution, FunctionName, Invocation, InvocationState,
    InvocationTrace, Offer, RequestId, Timestamp, TriggerName, lock,
};

use super::Note;

/// See the module.
pub(crate) struct TracedJournal {
    inner: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    notes: mpsc::Sender<Note>,
    share: f64,
    /// What was accepted in this life and is not recorded: its end is worth no note. As many as wait and run, at most.
    /// Of what is older the exporter looks at the record.
    unrecorded: Mutex<HashSet<RequestId>>,
}

// === impl TracedJournal ===

impl TracedJournal {
    pub(super) fn new(
        inner: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        notes: mpsc::Sender<Note>,
        share: f64,
    ) -> Self {
        Self {
            inner,
            clock,
            notes,
            share,
            unrecorded: Mutex::default(),
        }
    }

    fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            counter!("tripline_spans_dropped_total").increment(1);
        }
    }

    fn ended(&self, ids: &[RequestId]) {
        for id in ids {
            if !self.unrecorded().remove(id) {
                self.note(Note::Ended(*id));
            }
        }
    }

    fn unrecorded(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        lock(&self.unrecorded)
    }

    /// What of a batch is worth a note: recorded traces alone. The others have `None`.
    fn recorded(&self, batch: &[NewInvocation]) -> Vec<(RequestId, Option<Event>)> {
        let event = |new: &NewInvocation| {
            let event = &new.offer.event;
            let trace = InvocationTrace::of(new.request_id, event, self.share);
            trace.sampled.then(|| Event {
                data: None,
                ..event.clone()
            })
        };
        batch
            .iter()
            .map(|new| (new.request_id, event(new)))
            .collect()
    }
}

#[async_trait]
impl Journal for TracedJournal {
    async fn accept(&self, batch: Vec<NewInvocation>) -> Result<Vec<Accepted>, JournalError> {
        let (began, recorded) = (self.clock.now(), self.recorded(&batch));
        let answers = self.inner.accept(batch).await?;
        let ended = self.clock.now();
        for (id, event) in recorded {
            if !answers.contains(&Accepted::New(id)) {
                continue;
            }
            let Some(event) = event else {
                self.unrecorded().insert(id);
                continue;
            };
            self.note(Note::Accepted {
                id,
                event,
                began,
                ended,
            });
        }
        Ok(answers)
    }

    async fn find_identity(&self, offer: &Offer) -> Result<Option<Accepted>, JournalError> {
        self.inner.find_identity(offer).await
    }

    async fn start(&self, id: RequestId, at: Timestamp) -> Result<(), JournalError> {
        self.inner.start(id, at).await
    }

    async fn finish(&self, id: RequestId, ending: Ending) -> Result<(), JournalError> {
        self.inner.finish(id, ending).await?;
        self.ended(&[id]);
        Ok(())
    }

    async fn queued(
        &self,
        function: &FunctionName,
        except: &Arc<HashSet<RequestId>>,
        most: Portion,
    ) -> Result<Queued, JournalError> {
        self.inner.queued(function, except, most).await
    }

    async fn cancel_damaged(
        &self,
        function: &FunctionName,
        id: RequestId,
        at: Timestamp,
    ) -> Result<Settled, JournalError> {
        let settled = self.inner.cancel_damaged(function, id, at).await?;
        if settled == Settled::Ended {
            self.ended(&[id]);
        }
        Ok(settled)
    }

    async fn queue_lengths(&self) -> Result<Vec<(FunctionName, u64)>, JournalError> {
        self.inner.queue_lengths().await
    }

    async fn lose_running(
        &self,
        at: Timestamp,
        reason: &str,
        except: &Arc<HashSet<RequestId>>,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let lost = self.inner.lose_running(at, reason, except, limit).await?;
        self.ended(&lost);
        Ok(lost)
    }

    async fn expire(
        &self,
        function: &FunctionName,
        accepted_before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let expired = self
            .inner
            .expire(function, accepted_before, at, limit)
            .await?;
        self.ended(&expired);
        Ok(expired)
    }

    async fn cancel_all(
        &self,
        function: &FunctionName,
        at: Timestamp,
        reason: &str,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let cancelled = self.inner.cancel_all(function, at, reason, limit).await?;
        self.ended(&cancelled);
        Ok(cancelled)
    }

    async fn get(&self, id: RequestId) -> Result<Option<Invocation>, JournalError> {
        self.inner.get(id).await
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

#[cfg(test)]
mod tests;
