//! What the memory journal holds, and how each write changes it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tripline_model::{
    CursorEntry, Ending, Event, Execution, FunctionName, Identity, Invocation, InvocationState,
    Offer, RequestId, Timestamp, Transition, TriggerName,
};

use crate::{
    Accepted, Health, JournalError, NewInvocation, Page, Portion, Purged, Query, Retention,
    SHORT_RUN,
};

/// Everything that the journal holds.
pub(super) struct State {
    pub(super) invocations: BTreeMap<RequestId, Invocation>,
    pub(super) watermarks: BTreeMap<(Option<TriggerName>, String), u64>,
    pub(super) cursors: BTreeMap<(TriggerName, Bytes), Bytes>,
    pub(super) health: Health,
    pub(super) closed: bool,
    /// When ends were recorded.
    kept_from: BTreeMap<RequestId, Timestamp>,
    /// Records that are not what was written, as if the disk had changed them.
    pub(super) damaged: BTreeSet<RequestId>,
    identities: BTreeMap<(Option<TriggerName>, String), Remembered>,
    functions: BTreeMap<FunctionName, Execution>,
    /// Since when each trigger that left cursors or watermarks has been missing.
    gone: BTreeMap<TriggerName, Timestamp>,
}

struct Remembered {
    id: RequestId,
    digest: Option<[u8; 32]>,
    until: Timestamp,
}

// === impl State ===

impl Default for State {
    fn default() -> Self {
        Self {
            invocations: BTreeMap::new(),
            watermarks: BTreeMap::new(),
            cursors: BTreeMap::new(),
            health: Health::Ok,
            closed: false,
            kept_from: BTreeMap::new(),
            damaged: BTreeSet::new(),
            identities: BTreeMap::new(),
            functions: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }
}

impl State {
    /// The first id of the batch that was used before, if any.
    pub(super) fn duplicate(&self, batch: &[NewInvocation]) -> Option<RequestId> {
        let used = |new: &&NewInvocation| {
            self.invocations.contains_key(&new.request_id)
                && self.find(&new.offer, new.accepted_at).is_none()
        };
        batch.iter().find(used).map(|new| new.request_id)
    }

    /// Records one offer, unless it is known.
    pub(super) fn accept(&mut self, new: NewInvocation) -> Accepted {
        let NewInvocation {
            request_id,
            accepted_at,
            offer,
        } = new;
        let found = self.find(&offer, accepted_at);
        if found == Some(Accepted::KeyReused) {
            return Accepted::KeyReused;
        }
        if let Some(trigger) = &offer.trigger {
            self.put_cursors(trigger, offer.cursors.clone());
        }
        if let Some(found) = found {
            return found;
        }
        self.remember(&offer, request_id, accepted_at);
        let invocation = Invocation {
            request_id,
            function: offer.function.clone(),
            trigger: offer.trigger.clone(),
            state: InvocationState::Accepted,
            accepted_at,
            started_at: None,
            ending: None,
            data_len: offer.event.data_len() as u64,
            event: offer.event.clone(),
        };
        self.invocations.insert(request_id, invocation);
        Accepted::New(request_id)
    }

    /// The answer to an offer whose event is known at `now`.
    pub(super) fn find(&self, offer: &Offer, now: Timestamp) -> Option<Accepted> {
        match &offer.identity {
            Identity::Unique => None,
            Identity::Key { key, digest, .. } => {
                let name = (offer.trigger.clone(), key.clone());
                let known = self.identities.get(&name).filter(|i| i.until > now)?;
                let other = matches!((digest, known.digest), (Some(a), Some(b)) if *a != b);
                Some(if other {
                    Accepted::KeyReused
                } else {
                    Accepted::Known(known.id)
                })
            }
            Identity::Position { stream, position } => {
                let name = (offer.trigger.clone(), stream.clone());
                let mark = self.watermarks.get(&name)?;
                (position <= mark).then_some(Accepted::Past)
            }
        }
    }

    fn remember(&mut self, offer: &Offer, id: RequestId, at: Timestamp) {
        match &offer.identity {
            Identity::Unique => {}
            Identity::Key {
                key,
                window,
                digest,
            } => {
                let remembered = Remembered {
                    id,
                    digest: *digest,
                    until: at.plus(*window),
                };
                self.identities
                    .insert((offer.trigger.clone(), key.clone()), remembered);
            }
            Identity::Position { stream, position } => {
                self.watermarks
                    .insert((offer.trigger.clone(), stream.clone()), *position);
            }
        }
    }

    /// Makes a transition of an invocation, or says why it is not allowed.
    pub(super) fn apply(
        &mut self,
        id: RequestId,
        transition: Transition,
    ) -> Result<&mut Invocation, JournalError> {
        let invocation = self
            .invocations
            .get_mut(&id)
            .ok_or(JournalError::NotFound(id))?;
        invocation.state = invocation.state.apply(transition)?;
        Ok(invocation)
    }

    /// Ends one invocation at `now` and drops its data.
    pub(super) fn end(
        &mut self,
        id: RequestId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let from = ending.at.max(now);
        let invocation = self.apply(id, Transition::End(ending.end))?;
        invocation.ending = Some(ending);
        invocation.event.data = None;
        self.kept_from.insert(id, from);
        Ok(())
    }

    /// Puts a record that says only what the indexes know in the place of a damaged one.
    pub(super) fn blank(&mut self, id: RequestId) {
        if let Some(invocation) = self.invocations.get_mut(&id) {
            invocation.event = Event::unknown(invocation.accepted_at);
            invocation.data_len = 0;
        }
    }

    /// Ends all of these the same way.
    pub(super) fn end_all(
        &mut self,
        ids: Vec<RequestId>,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Vec<RequestId>, JournalError> {
        for id in &ids {
            self.end(*id, ending.clone(), now)?;
        }
        Ok(ids)
    }

    /// The lowest ids of those that match.
    pub(super) fn ids(
        &self,
        matches: impl Fn(&&Invocation) -> bool,
        limit: usize,
    ) -> Vec<RequestId> {
        let found = self.invocations.values().filter(matches).take(limit);
        found.map(|invocation| invocation.request_id).collect()
    }

    /// The invocations of a function that were not started.
    pub(super) fn waiting(&self, function: &FunctionName) -> impl Iterator<Item = &Invocation> {
        self.invocations
            .values()
            .filter(move |i| i.state == InvocationState::Accepted && i.function == *function)
    }

    /// Records per function and state.
    pub(super) fn counts(&self) -> Vec<((FunctionName, InvocationState), u64)> {
        let mut counts: Vec<((FunctionName, InvocationState), u64)> = Vec::new();
        for invocation in self.invocations.values() {
            let key = (invocation.function.clone(), invocation.state);
            match counts.iter_mut().find(|(known, _)| *known == key) {
                Some((_, n)) => *n += 1,
                None => counts.push((key, 1)),
            }
        }
        counts
    }

    /// The page that `query` asks for.
    pub(super) fn list(&self, query: &Query) -> Page {
        let wanted = |i: &&Invocation| {
            query.function.as_ref().is_none_or(|f| i.function == *f)
                && query
                    .trigger
                    .as_ref()
                    .is_none_or(|t| i.trigger.as_ref() == Some(t))
                && query.state.is_none_or(|s| i.state == s)
                && query
                    .since
                    .is_none_or(|t| i.request_id >= RequestId::floor(t))
                && query
                    .until
                    .is_none_or(|t| i.request_id < RequestId::floor(t))
                && query.before.is_none_or(|id| i.request_id < id)
        };
        let most = Portion {
            count: query.page_size(),
            bytes: Query::PAGE_BYTES,
        };
        let (mut page, mut bytes, mut last) = (Page::default(), 0, None);
        for found in self.invocations.values().rev().filter(wanted) {
            let mut invocation = found.clone();
            invocation.event.data = None;
            if let Some(ending) = &mut invocation.ending {
                ending.result = None;
            }
            bytes += invocation.weight() as u64;
            if !most.takes(page.invocations.len() + page.damaged.len(), bytes) {
                page.next = last;
                break;
            }
            last = Some(invocation.request_id);
            match self.damaged.contains(&invocation.request_id) {
                true => page.damaged.push(invocation.request_id),
                false => page.invocations.push(invocation),
            }
        }
        page
    }

    /// See [`crate::Journal::register_functions`].
    pub(super) fn register(
        &mut self,
        present: &[(FunctionName, Execution)],
    ) -> Result<(), JournalError> {
        for (function, wanted) in present {
            match self.functions.get(function) {
                Some(locked) if locked != wanted => {
                    return Err(JournalError::ExecutionLocked {
                        function: function.clone(),
                        locked: *locked,
                        wanted: *wanted,
                    });
                }
                _ => {}
            }
        }
        self.functions = present.iter().cloned().collect();
        Ok(())
    }

    /// Writes and removes cursors.
    pub(super) fn put_cursors(&mut self, trigger: &TriggerName, entries: Vec<CursorEntry>) {
        for CursorEntry { key, value } in entries {
            let key = (trigger.clone(), key);
            match value {
                Some(value) => self.cursors.insert(key, value),
                None => self.cursors.remove(&key),
            };
        }
    }

    /// See [`crate::Journal::register_triggers`].
    pub(super) fn register_triggers(&mut self, present: &[TriggerName], now: Timestamp) {
        let marked = self.watermarks.keys().filter_map(|(via, _)| via.as_ref());
        for via in self.cursors.keys().map(|(via, _)| via).chain(marked) {
            self.gone.entry(via.clone()).or_insert(now);
        }
        self.gone.retain(|via, _| !present.contains(via));
    }

    /// See [`crate::Journal::oldest_with_log_to_keep`].
    pub(super) fn oldest_with_log_to_keep(&self, since: Timestamp) -> Option<RequestId> {
        let is_kept = |i: &&Invocation| match (i.state, i.started_at) {
            (InvocationState::Running, _) => true,
            (InvocationState::Ended(_), Some(started)) => self
                .kept_from
                .get(&i.request_id)
                .is_some_and(|from| *from >= since && from.since(started) > SHORT_RUN),
            _ => false,
        };
        let kept = self.invocations.values().find(is_kept);
        kept.map(|one| one.request_id)
    }

    /// Removes ended records that are too old, then the oldest until the rest fits, and notes of triggers removed long
    /// ago.
    pub(super) fn purge(&mut self, retention: &Retention, now: Timestamp) -> Purged {
        let before = (self.invocations.len(), self.identities.len());
        let limit = now.minus(retention.keep_ended);
        while self.forget_oldest(limit) {}
        self.identities.retain(|_, known| known.until > now);
        let at_least = now.minus(retention.keep_at_least.min(retention.keep_ended));
        while self.weight() > retention.max_bytes && self.forget_oldest(at_least) {}
        Purged {
            invocations: (before.0 - self.invocations.len()) as u64,
            identities: (before.1 - self.identities.len()) as u64,
            notes: self.purge_notes(now.minus(retention.keep_removed)),
        }
    }

    /// Removes the record whose end was recorded first, if that was before `before`.
    fn forget_oldest(&mut self, before: Timestamp) -> bool {
        let oldest = self.kept_from.iter().map(|(id, from)| (*from, *id)).min();
        let Some((_, id)) = oldest.filter(|(from, _)| *from < before) else {
            return false;
        };
        self.kept_from.remove(&id);
        self.invocations.remove(&id);
        true
    }

    fn purge_notes(&mut self, before: Timestamp) -> u64 {
        let notes = (self.cursors.len(), self.watermarks.len());
        let is_old = |via: &TriggerName| self.gone.get(via).is_some_and(|since| *since < before);
        self.cursors.retain(|(via, _), _| !is_old(via));
        self.watermarks
            .retain(|(via, _), _| !via.as_ref().is_some_and(is_old));
        self.gone.retain(|_, since| *since >= before);
        (notes.0 + notes.1 - self.cursors.len() - self.watermarks.len()) as u64
    }

    /// Bytes of ended records.
    fn weight(&self) -> u64 {
        let ended = self.invocations.values().filter(|i| i.ending.is_some());
        let weights = ended.map(Invocation::weight);
        weights.sum::<usize>() as u64
    }
}
