//! What waits for its start, of one function: a bounded window in memory, the rest in the journal alone.
//!
//! Pure bookkeeping; whoever holds it keeps these rules. `queued` counts what the journal holds as accepted. An id is
//! `held` while it is in the window or being started. It is `passed_over` if it can be neither read nor ended: it waits, and
//! is not asked for. What is queued and neither held nor passed over is the overflow: while there is any, newly accepted
//! work joins it, so that the window always has the oldest.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet, VecDeque};

use tripline_journal::Portion;
use tripline_model::{Invocation, RequestId, Timestamp};

/// Invocations in the window, at most.
const WINDOW_COUNT: usize = 512;

/// Bytes of events in the window, at most, beside one event that may be larger.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    window: VecDeque<Invocation>,
    bytes: usize,
    held: HashSet<RequestId>,
    passed_over: BTreeSet<RequestId>,
    /// Given to the journal; its answer is not booked yet.
    committing: HashSet<RequestId>,
    queued: u64,
    reserved: u64,
}

// === impl Queue ===

impl Queue {
    /// A queue whose work is in the journal.
    pub(crate) fn with_queued(queued: u64) -> Self {
        Self {
            queued,
            ..Self::default()
        }
    }

    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    /// Work that is in the journal alone.
    pub(crate) fn overflow(&self) -> u64 {
        let known = self.held.len() + self.passed_over.len();
        self.queued.saturating_sub(known as u64)
    }

    /// Whether something may wait that was accepted before a time. Of what is not passed over, the window has the oldest;
    /// where it is empty, only the journal knows.
    pub(crate) fn may_be_older_than(&self, before: Timestamp) -> bool {
        let passed_over = self.passed_over.first();
        passed_over.is_some_and(|id| id.timestamp() < before)
            || match self.window.front() {
                Some(oldest) => oldest.accepted_at < before,
                None => self.overflow() > 0,
            }
    }

    /// Takes a place for an event on its way to the journal, if there are fewer than `max`.
    pub(crate) fn reserve(&mut self, max: u64) -> bool {
        let free = self.queued + self.reserved < max;
        self.reserved += u64::from(free);
        free
    }

    /// Gives a place back.
    pub(crate) fn release(&mut self) {
        self.reserved -= 1;
    }

    /// The id is on its way to the journal.
    pub(crate) fn commit(&mut self, id: RequestId) {
        self.committing.insert(id);
    }

    /// The journal did not take the id.
    pub(crate) fn not_committed(&mut self, id: RequestId) {
        self.committing.remove(&id);
    }

    /// The journal has it; its place was reserved before, and is released by the caller. It is asked for the
    /// `invocation`, whose event weighs `weight`, if there is room in the window. Whether it is waiting now: it may have
    /// been ended already.
    pub(crate) fn committed(
        &mut self,
        id: RequestId,
        weight: usize,
        invocation: impl FnOnce() -> Invocation,
    ) -> bool {
        if !self.committing.remove(&id) {
            return false;
        }
        let first_in_line = self.overflow() == 0;
        self.queued += 1;
        if first_in_line && self.has_room(weight) {
            self.push(invocation());
        }
        true
    }

    /// The next to be started. It stays held until it is started, dropped or put back.
    pub(crate) fn pop(&mut self) -> Option<Invocation> {
        let next = self.window.pop_front()?;
        self.bytes -= next.event.weight();
        Some(next)
    }

    /// It was popped, and is still to be started.
    pub(crate) fn put_back(&mut self, invocation: Invocation) {
        self.bytes += invocation.event.weight();
        self.window.push_front(invocation);
    }

    /// It was popped, and is no longer waiting.
    pub(crate) fn left(&mut self, id: RequestId) {
        if self.held.remove(&id) {
            self.queued -= 1;
        }
    }

    /// The journal ended it while it was waiting. Returns whether it left the queue now: one that is on its way into the
    /// queue will not arrive, and one that is being started leaves when its start is refused.
    pub(crate) fn drop_ended(&mut self, id: RequestId) -> bool {
        let place = self.window.iter().position(|at| at.request_id == id);
        if let Some(gone) = place.and_then(|place| self.window.remove(place)) {
            self.bytes -= gone.event.weight();
            self.held.remove(&id);
        } else if self.committing.remove(&id) || self.held.contains(&id) {
            return false;
        }
        self.passed_over.remove(&id);
        self.queued = self.queued.saturating_sub(1);
        true
    }

    /// Ids that must not be taken from the journal now.
    pub(crate) fn skip(&self) -> HashSet<RequestId> {
        let known = self.held.iter().chain(&self.committing);
        known.chain(&self.passed_over).copied().collect()
    }

    /// What the window has room for.
    pub(crate) fn room(&self) -> Portion {
        Portion {
            count: WINDOW_COUNT.saturating_sub(self.window.len()),
            bytes: WINDOW_BYTES.saturating_sub(self.bytes),
        }
    }

    /// Takes the oldest from the journal, without those that [`Queue::skip`] named before. Returns how many.
    pub(crate) fn refill(&mut self, oldest: Vec<Invocation>) -> usize {
        let mut taken = 0;
        for invocation in oldest {
            let id = invocation.request_id;
            if self.held.contains(&id) || self.committing.contains(&id) {
                continue;
            }
            if !self.has_room(invocation.event.weight()) {
                break;
            }
            self.push(invocation);
            taken += 1;
        }
        taken
    }

    /// It is damaged and could not be ended: it stays where it is, and nothing waits behind it.
    pub(crate) fn pass_over(&mut self, id: RequestId) {
        self.held.remove(&id);
        self.passed_over.insert(id);
    }

    fn has_room(&self, weight: usize) -> bool {
        let fits = self.bytes + weight <= WINDOW_BYTES;
        self.window.is_empty() || (fits && self.window.len() < WINDOW_COUNT)
    }

    fn push(&mut self, invocation: Invocation) {
        self.held.insert(invocation.request_id);
        self.bytes += invocation.event.weight();
        self.window.push_back(invocation);
    }
}
