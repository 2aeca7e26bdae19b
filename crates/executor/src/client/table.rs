//! The runs of one executor, and what is still to be sent to it. That is kept as state, not as a queue: a hundred
//! `Kept` of a run become one, and after a reconnect all that matters is sent again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tripline_model::RequestId;

use super::RunEvent;
use super::entry::{Entry, Outgoing, SentNotifier};
use super::inbox::Inbox;
use crate::protocol::{Credentials, FunctionSpec, HeldRun, Start, StopHow, ToExecutor};

/// The runs of one executor, and what is still to be sent to it.
#[derive(Default)]
pub(super) struct Table {
    entries: HashMap<RequestId, Entry>,
    /// Runs that may have something to send; each once.
    due: VecDeque<RequestId>,
    functions: Option<Arc<Vec<FunctionSpec>>>,
    functions_due: bool,
    retired: bool,
    retire_due: bool,
    /// A message was taken out that may not be flushed yet.
    unflushed: bool,
    /// Only a new connection can separate what comes from now on from what came before.
    afresh: bool,
    /// The executor is gone: nothing is taken up any more.
    closed: bool,
}

// === impl Table ===

impl Table {
    /// The first connection: what the executor holds is of earlier lives of the hub.
    pub(super) fn join(held: Vec<(RequestId, HeldRun)>, retired: bool) -> Self {
        let entry = |(id, run): (RequestId, HeldRun)| (id, Entry::held(run.function, run.ended));
        let entries = held.into_iter().map(entry).collect();
        Self {
            entries,
            retired,
            ..Self::default()
        }
    }

    /// Takes up a run that is to be started. Without success the sender is dropped unused.
    pub(super) fn start(
        &mut self,
        id: RequestId,
        start: Start,
        data: Bytes,
        notifier: SentNotifier,
    ) -> Option<Arc<Inbox>> {
        if self.closed || self.retired || self.entries.contains_key(&id) {
            return None;
        }
        let entry = Entry::new(start, data, notifier);
        let inbox = Arc::clone(&entry.inbox);
        self.entries.insert(id, entry);
        self.queue(id);
        Some(inbox)
    }

    /// Takes a run back whose start was not sent. False if it was.
    pub(super) fn take_back(&mut self, id: RequestId) -> bool {
        let unsent = self.entries.get(&id).is_some_and(Entry::is_unsent);
        if unsent {
            self.entries.remove(&id);
        }
        unsent
    }

    /// Drops a run whose start cannot be sent.
    pub(super) fn remove(&mut self, id: RequestId) {
        self.entries.remove(&id);
    }

    /// Takes a held run up from the line after `after` on. `None` if it is not here or taken.
    pub(super) fn attach(&mut self, id: RequestId, after: u64) -> Option<Arc<Inbox>> {
        let entry = self.entries.get_mut(&id)?;
        let used = entry.inbox.was_claimed();
        if entry.forgotten || !entry.inbox.claim(after) {
            return None;
        }
        entry.attach(after);
        let inbox = Arc::clone(&entry.inbox);
        // What the executor sent ahead for an earlier `Run` may still be on its way.
        self.afresh |= used;
        self.queue(id);
        Some(inbox)
    }

    pub(super) fn stop(&mut self, id: RequestId, how: StopHow) {
        self.change(id, |entry| entry.stop(how));
    }

    pub(super) fn kept(&mut self, id: RequestId, line: u64) {
        self.change(id, |entry| entry.keep(line));
    }

    pub(super) fn renew(&mut self, id: RequestId, credentials: Credentials) {
        self.change(id, |entry| entry.renew(credentials));
    }

    pub(super) fn forget(&mut self, id: RequestId) {
        self.change(id, Entry::forget);
    }

    pub(super) fn declare(&mut self, functions: Arc<Vec<FunctionSpec>>) {
        self.functions = Some(functions);
        self.functions_due = true;
    }

    pub(super) fn retire(&mut self) {
        self.retire_due |= !self.retired;
        self.retired = true;
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Whether a run is here.
    pub(super) fn holds(&self, id: RequestId) -> bool {
        self.entries.contains_key(&id)
    }

    /// The runs that are not forgotten.
    pub(super) fn held(&self) -> Vec<HeldRun> {
        let kept = self.entries.iter().filter(|(_, entry)| !entry.forgotten);
        let held = kept.map(|(id, entry)| HeldRun {
            run: id.to_string(),
            function: entry.function.clone(),
            ended: entry.ended,
        });
        held.collect()
    }

    /// Whether everything was sent.
    pub(super) fn is_settled(&self) -> bool {
        self.due.is_empty() && !self.functions_due && !self.retire_due && !self.unflushed
    }

    /// Notes that all that was taken out is on its way.
    pub(super) fn flushed(&mut self) {
        self.unflushed = false;
    }

    /// Whether the connection is to be made anew.
    pub(super) fn wants_afresh(&self) -> bool {
        self.afresh
    }

    /// Notes what the executor sent about a run. Returns where it goes: nowhere if the run was dropped already.
    pub(super) fn receive(&mut self, id: RequestId, event: &RunEvent) -> Option<Arc<Inbox>> {
        let entry = self.entries.get_mut(&id)?;
        let inbox = Arc::clone(&entry.inbox);
        match event {
            RunEvent::Ended { reclaimed, .. } => {
                entry.end();
                entry.reclaimed |= reclaimed;
            }
            RunEvent::Reclaimed => entry.reclaimed = true,
            RunEvent::Lines(_) | RunEvent::Lost { .. } => return Some(inbox),
        }
        if !entry.queued {
            self.drop_if_done(id);
        }
        Some(inbox)
    }

    /// A new connection: all that the executor may not have received is to be sent again. Returns the runs that were
    /// sent to it and that it does not hold.
    pub(super) fn rejoin(&mut self, held: &[(RequestId, HeldRun)]) -> Vec<Arc<Inbox>> {
        self.functions_due = self.functions.is_some();
        self.retire_due = self.retired;
        self.afresh = false;
        let holds: HashSet<_> = held.iter().map(|(id, _)| *id).collect();
        let mut unknown = Vec::new();
        self.entries.retain(|id, entry| {
            let stays = entry.is_unsent() || holds.contains(id);
            if !stays && entry.forgotten {
                // It drops what was forgotten once nothing of it is alive.
                let _ = entry.inbox.put(RunEvent::Reclaimed);
            } else if !stays {
                unknown.push(Arc::clone(&entry.inbox));
            }
            stays
        });
        for (id, run) in held {
            let entry = self.entries.entry(*id).or_insert_with(|| {
                // It was forgotten, and the executor does not know yet.
                let mut entry = Entry::held(run.function.clone(), run.ended);
                entry.forget();
                entry
            });
            entry.resend();
            self.queue(*id);
        }
        unknown
    }

    /// The executor is gone. Starts that were not sent are dropped; all other runs are returned.
    pub(super) fn close(&mut self) -> Vec<Arc<Inbox>> {
        self.closed = true;
        self.due.clear();
        let entries = std::mem::take(&mut self.entries);
        let sent = entries.into_values().filter(|entry| !entry.is_unsent());
        sent.map(|entry| entry.inbox).collect()
    }

    /// The next message to send. Call [`Self::flushed`] once all were flushed.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        let next = self.next_due();
        self.unflushed |= next.is_some();
        next
    }

    fn next_due(&mut self) -> Option<Outgoing> {
        if std::mem::take(&mut self.functions_due) {
            let functions = self
                .functions
                .as_ref()
                .map(|all| all.to_vec())
                .unwrap_or_default();
            return Some(ToExecutor::Declare { functions }.into());
        }
        if std::mem::take(&mut self.retire_due) {
            return Some(ToExecutor::Retire.into());
        }
        while let Some(id) = self.due.pop_front() {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            entry.queued = false;
            let outgoing = entry.next(id);
            if outgoing.is_some() {
                self.queue(id);
                return outgoing;
            }
            self.drop_if_done(id);
        }
        None
    }

    /// Drops a run with nothing more to send or to receive.
    fn drop_if_done(&mut self, id: RequestId) {
        let is_done = |entry: &Entry| {
            // Without a `Run`, nobody waits for its reclaiming.
            entry.forgotten && (entry.reclaimed || !entry.inbox.is_claimed())
        };
        if self.entries.get(&id).is_some_and(is_done) {
            self.entries.remove(&id);
        }
    }

    fn change(&mut self, id: RequestId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&id) {
            change(entry);
            self.queue(id);
        }
    }

    fn queue(&mut self, id: RequestId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && !std::mem::replace(&mut entry.queued, true)
        {
            self.due.push_back(id);
        }
    }
}
