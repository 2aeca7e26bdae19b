//! The port to the journal: what is durable about invocations.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tripline_model::{
    Cursors, Ending, Execution, FunctionName, Invocation, InvocationState, Offer, RequestId,
    Timestamp, TriggerName,
};

use crate::JournalError;

/// An event that is to be accepted under a fresh id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvocation {
    /// The id it gets if it is new. Must never have been used.
    pub request_id: RequestId,
    /// When it is accepted: the time of its id. Windows of identities are counted from here.
    pub accepted_at: Timestamp,
    /// The event and its identity, shared with whoever offered it.
    pub offer: Arc<Offer>,
}

/// The outcome of one offer. Its cursors are written in every case except `KeyReused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and is on disk under the id it came with.
    New(RequestId),
    /// The same event was accepted before, under this id.
    Known(RequestId),
    /// Its position lies at or below the watermark of its stream.
    Past,
    /// Its key was used before with another digest; nothing of this offer was stored.
    KeyReused,
}

/// Which invocations to list. All filters must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only of this function.
    pub function: Option<FunctionName>,
    /// Only from this trigger.
    pub trigger: Option<TriggerName>,
    /// Only in this state.
    pub state: Option<InvocationState>,
    /// Only with ids made at or after this time.
    pub since: Option<Timestamp>,
    /// Only with ids made before this time.
    pub until: Option<Timestamp>,
    /// Only with ids below this one: where the page before ended.
    pub before: Option<RequestId>,
    /// The most invocations on a page, from 1 to 1,000; another value counts as the nearest of these.
    pub limit: usize,
}

/// What is next in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queued {
    /// As they were accepted, with their data.
    pub invocations: Vec<Invocation>,
    /// Those whose record or data is not what was accepted. Nobody knows what they were, so they are never run.
    pub damaged: Vec<RequestId>,
}

/// What became of an invocation that was read as damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was damaged, and is ended.
    Ended,
    /// It does not wait in that queue.
    NotThere,
    /// It is what was accepted, here with its data: not what is kept was wrong, but what was read of it.
    Whole(Box<Invocation>),
}

/// A page of invocations, newest first, without data and results. It ends early if it would cost too much: so it may have
/// fewer than were asked for, even none, without being the last one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The invocations.
    pub invocations: Vec<Invocation>,
    /// Those that belong here and are left out, for their records are not what was written.
    pub damaged: Vec<RequestId>,
    /// What to pass as [`Query::before`] for the next page; `None` on the last one.
    pub next: Option<RequestId>,
}

/// How much of what waits is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Invocations.
    pub count: usize,
    /// Bytes of their events, by their weight.
    pub bytes: usize,
}

/// Most runs take less, until their end is recorded; see [`Journal::oldest_with_log_to_keep`].
pub const SHORT_RUN: Duration = Duration::from_secs(60);

/// What is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long a record is kept after its end was recorded, or after the end itself if that is later by the clock.
    /// Counted from the recording, because nobody could read the record of a run that ended while no hub was there.
    pub keep_ended: Duration,
    /// How long it is kept even if there is more than `max_bytes`, but at most `keep_ended`: whoever has a receipt must
    /// have time to ask for the answer.
    pub keep_at_least: Duration,
    /// How many bytes the journal may take, not counting events that wait or run, which cannot be removed. Above that,
    /// ended records are removed, the oldest end first.
    pub max_bytes: u64,
    /// How long cursors and watermarks of a trigger are kept after [`Journal::register_triggers`] was first called
    /// without it.
    pub keep_removed: Duration,
}

/// What a purge removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Records of ended invocations.
    pub invocations: u64,
    /// Identities whose window is over.
    pub identities: u64,
    /// Cursors and watermarks of triggers that were removed.
    pub notes: u64,
}

/// Whether the journal takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ok,
    /// The disk is full: no new events are taken, ends are recorded.
    Full,
    /// A write failed, with this message: there are no more writes until the hub is restarted.
    Poisoned(String),
}

/// Keeps what is durable about invocations. Every write is durable when its call returns `Ok`; an error other than
/// [`JournalError::Poisoned`] means that nothing of the call was stored.
///
/// Calls made at the same time share one flush, so callers need not collect writes themselves. A write whose future
/// is dropped may still happen.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Accepts a batch in one durable transaction: identity check, record, identity or watermark, cursors. Answers
    /// in the order of the batch. A repeat within the batch is known, too.
    async fn accept(&self, batch: Vec<NewInvocation>) -> Result<Vec<Accepted>, JournalError>;

    /// What [`Journal::accept`] would answer if the event was accepted before; `None` if it is new. Writes
    /// nothing.
    async fn find_identity(&self, offer: &Offer) -> Result<Option<Accepted>, JournalError>;

    /// Records the start of an accepted invocation. `Illegal` in any other state.
    async fn start(&self, id: RequestId, at: Timestamp) -> Result<(), JournalError>;

    /// Records the end and drops the event's data. The first end wins: `Illegal` if there is one, or if the state
    /// does not allow this end. Works on a full disk, where a large result may be left out and marked as cut.
    async fn finish(&self, id: RequestId, ending: Ending) -> Result<(), JournalError>;

    /// The invocations of a function that have waited longest, except those of `except`, oldest first and with their
    /// data: up to `most` of them, but at least one, if any waits. Damaged ones count.
    async fn queued(
        &self,
        function: &FunctionName,
        except: &Arc<HashSet<RequestId>>,
        most: Portion,
    ) -> Result<Queued, JournalError>;

    /// Ends an invocation that waits in the queue of a function and is damaged as cancelled, with the reason
    /// [`DAMAGED`](tripline_model::DAMAGED), unless it is whole when it is read again. Of a damaged record nothing is
    /// kept but its id, its queue, its trigger, and since when it waited. `Damaged` if not even that can be done.
    async fn cancel_damaged(
        &self,
        function: &FunctionName,
        id: RequestId,
        at: Timestamp,
    ) -> Result<Settled, JournalError>;

    /// How many accepted invocations wait, for each function that has any.
    async fn queue_lengths(&self) -> Result<Vec<(FunctionName, u64)>, JournalError>;

    /// Ends up to `limit` running invocations as lost, except those of `except`, and answers which; call until there are
    /// no more.
    async fn lose_running(
        &self,
        at: Timestamp,
        reason: &str,
        except: &Arc<HashSet<RequestId>>,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError>;

    /// Ends up to `limit` invocations of a function that were accepted before `accepted_before` and not started as
    /// expired, and answers which; call until there are no more.
    async fn expire(
        &self,
        function: &FunctionName,
        accepted_before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError>;

    /// Ends up to `limit` invocations of a function that were not started as cancelled, and answers which; call until
    /// there are no more.
    async fn cancel_all(
        &self,
        function: &FunctionName,
        at: Timestamp,
        reason: &str,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError>;

    /// One invocation, with its data while that is kept, and its ending with the result. `Damaged` if it is not what was
    /// written.
    async fn get(&self, id: RequestId) -> Result<Option<Invocation>, JournalError>;

    /// A page of invocations, newest first, at a bounded cost.
    async fn list(&self, query: &Query) -> Result<Page, JournalError>;

    /// How many records each function has in each state; zeros are left out.
    async fn counts(&self) -> Result<Vec<(FunctionName, InvocationState, u64)>, JournalError>;

    /// Makes the functions known, each with the mode it is locked to from now on, and forgets those that are not
    /// present. `ExecutionLocked` if a known one changed its mode; then nothing is changed. Works on a full disk: no hub
    /// could be started on one otherwise.
    async fn register_functions(
        &self,
        present: &[(FunctionName, Execution)],
    ) -> Result<(), JournalError>;

    /// Says which triggers there are, enabled or not. Notes (cursors and watermarks) of all other triggers are removed
    /// [`Retention::keep_removed`] after `now`, unless their trigger is back before.
    async fn register_triggers(
        &self,
        present: &[TriggerName],
        now: Timestamp,
    ) -> Result<(), JournalError>;

    /// Of the invocations whose logs must be kept however old their last lines are, the one that was accepted first.
    /// These run, or their end was recorded at `since` or later. Those whose end was recorded within [`SHORT_RUN`] after
    /// their start do not count, for their lines are hardly older than that.
    async fn oldest_with_log_to_keep(
        &self,
        since: Timestamp,
    ) -> Result<Option<RequestId>, JournalError>;

    /// Removes what is no longer to be kept, in small steps, between which other writes go on.
    async fn purge(&self, retention: &Retention, now: Timestamp) -> Result<Purged, JournalError>;

    /// A UUID made when the journal was created: the stable name of this hub.
    fn hub_id(&self) -> String;

    /// Whether it takes writes.
    fn health(&self) -> Health;

    /// The cursors that are kept in the same transactions.
    fn cursors(self: Arc<Self>) -> Arc<dyn Cursors>;

    /// Writes out what is waiting, then closes. Later calls are `Unavailable`.
    async fn close(&self);
}

// === impl Portion ===

impl Portion {
    /// Everything.
    pub const ALL: Self = Self {
        count: usize::MAX,
        bytes: usize::MAX,
    };

    /// Whether one more may follow `count` others, if all of them together have `bytes`. The first always may.
    pub(crate) fn takes(&self, count: usize, bytes: u64) -> bool {
        let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.bytes);
        count == 0 || (count < self.count && fits)
    }
}

// === impl Query ===

impl Default for Query {
    /// The newest 100 invocations.
    fn default() -> Self {
        Self {
            function: None,
            trigger: None,
            state: None,
            since: None,
            until: None,
            before: None,
            limit: 100,
        }
    }
}

impl Query {
    /// The most bytes of invocations on one page, by their weight. One invocation alone may have more.
    pub(crate) const PAGE_BYTES: usize = 4 << 20;

    /// The limit that is used.
    pub(crate) fn page_size(&self) -> usize {
        self.limit.clamp(1, 1000)
    }
}
