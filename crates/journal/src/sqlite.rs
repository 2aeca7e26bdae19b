//! The journal on SQLite: one writer thread with group commit, a checkpoint thread, and connections that read.

mod checkpoint;
mod checkpoint_note;
mod data_dir;
mod ends;
mod group;
mod identity;
mod job;
mod list;
mod open;
mod original;
mod read;
mod readers;
mod records;
mod reserve;
mod retention;
mod row;
mod schema;
mod shared;
mod sum;
mod waiting;
mod wal_damage;
mod wal_index;
mod wal_size;
mod writer;

use std::collections::HashSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tripline_model::{
    Clock, CursorEntry, CursorError, Cursors, End, Ending, Execution, FunctionName, Invocation,
    InvocationState, Offer, RequestId, Timestamp, TriggerName, lock,
};

use crate::{
    Accepted, Health, Journal, JournalError, NewInvocation, OpenError, Page, Portion, Purged,
    Query, Queued, Retention, Settled,
};
pub(crate) use data_dir::keep_out;
pub(crate) use open::{reader, try_to_read};
pub use original::Copied;
pub(crate) use records::{Records, records};
pub(crate) use wal_damage::{Tail, WalState, cut_in_page, wal_state};

use group::{Failure, Group, Several};
use job::{Job, Need, Work};
use readers::Readers;
use shared::Shared;

/// How a journal is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// Connections for reads, 1 to 64, beside one for lists; further readers wait.
    pub readers: usize,
    /// Bytes of events that may wait to be written; further writers wait.
    pub queue_bytes: u32,
    /// Bytes on the disk that are held back so that ends can be recorded when it is full, 1 MiB or more. The
    /// write-ahead log (WAL) is kept within half of it.
    pub reserve_bytes: u64,
    /// What is done with a journal that was copied from another place.
    pub copied: Copied,
}

/// What writes for a journal that has no threads; see [`SqliteJournal::open_inline`].
pub type WriterTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The journal in a data directory.
pub struct SqliteJournal {
    clock: Arc<dyn Clock>,
    hub_id: String,
    shared: Arc<Shared>,
    readers: Readers,
    /// Only for lists: other reads should not wait for them, for they take long.
    lists: Readers,
    queue: Mutex<Option<mpsc::Sender<Box<dyn Work>>>>,
    queue_bytes: u32,
    room: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

// === impl JournalOptions ===

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            queue_bytes: 64 << 20,
            reserve_bytes: 32 << 20,
            copied: Copied::Refuse,
        }
    }
}

// === impl SqliteJournal ===

impl SqliteJournal {
    /// Opens the journal in `dir`, or makes it; takes the directory for this process alone. Blocks while a write-ahead
    /// log (WAL) that a crash left is checkpointed. `clock` tells which identities are still within their window.
    pub fn open(
        dir: &Path,
        options: JournalOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        open::open(dir, options, clock)
    }

    /// As [`SqliteJournal::open`], without threads: whoever polls the task writes and checkpoints, and reads happen on
    /// the caller's thread. For simulations, in which everything happens in an order that can be repeated. The task ends
    /// after [`Journal::close`], with the last write. If it is dropped before, it leaves what a crash would leave.
    pub fn open_inline(
        dir: &Path,
        options: JournalOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, WriterTask), OpenError> {
        open::open_inline(dir, options, clock)
    }

    async fn write<T, F>(&self, room: bool, weight: usize, run: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnMut(&mut Group<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let closed = || JournalError::Unavailable("the journal is closed".to_owned());
        let queue = self.queue();
        let queue = queue.ok_or_else(closed)?;
        let bytes = u32::try_from(weight).unwrap_or(u32::MAX);
        let permits = bytes.clamp(1, self.queue_bytes);
        let queued = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let queued = queued.map_err(|_| closed())?;
        let (job, answer) = Job::queued(Need { room, weight }, queued, run);
        queue.send(job).await.map_err(|_| self.writer_gone())?;
        drop(queue);
        answer.await.map_err(|_| self.writer_gone())?
    }

    /// A write that is allowed on a full disk.
    async fn amend<T, F>(&self, run: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnMut(&mut Group<'_>) -> Result<T, Failure> + Send + 'static,
    {
        self.write(false, 512, run).await
    }

    fn queue(&self) -> Option<mpsc::Sender<Box<dyn Work>>> {
        let queue = lock(&self.queue);
        queue.clone()
    }

    fn writer_gone(&self) -> JournalError {
        match self.shared.health() {
            Health::Poisoned(why) => JournalError::Poisoned(why),
            Health::Ok | Health::Full => {
                JournalError::Poisoned("the writer thread is gone".to_owned())
            }
        }
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn accept(&self, batch: Vec<NewInvocation>) -> Result<Vec<Accepted>, JournalError> {
        let weight = batch.iter().map(|new| new.offer.event.weight()).sum();
        self.write(true, weight, move |group| group.accept(&batch))
            .await
    }

    async fn find_identity(&self, offer: &Offer) -> Result<Option<Accepted>, JournalError> {
        if offer.identity == tripline_model::Identity::Unique {
            return Ok(None);
        }
        let (shared, now) = (Arc::clone(&self.shared), self.clock.now());
        let offer = Offer {
            event: tripline_model::Event {
                data: None,
                ..offer.event.clone()
            },
            ..offer.clone()
        };
        self.readers
            .read(move |c| read::find_identity(c, &shared.spans, &offer, now))
            .await
    }

    async fn start(&self, id: RequestId, at: Timestamp) -> Result<(), JournalError> {
        self.amend(move |group| group.start(id, at)).await
    }

    async fn finish(&self, id: RequestId, ending: Ending) -> Result<(), JournalError> {
        let weight = 512 + ending.result.as_ref().map_or(0, Bytes::len);
        let now = self.clock.now();
        self.write(false, weight, move |group| group.finish(id, &ending, now))
            .await
    }

    async fn queued(
        &self,
        function: &FunctionName,
        except: &Arc<HashSet<RequestId>>,
        most: Portion,
    ) -> Result<Queued, JournalError> {
        let (function, except) = (function.clone(), Arc::clone(except));
        self.readers
            .read(move |c| waiting::queued(c, &function, &except, most))
            .await
    }

    async fn cancel_damaged(
        &self,
        function: &FunctionName,
        id: RequestId,
        at: Timestamp,
    ) -> Result<Settled, JournalError> {
        let (function, times) = (function.clone(), (at, self.clock.now()));
        self.amend(move |group| group.cancel_damaged(&function, id, times))
            .await
    }

    async fn queue_lengths(&self) -> Result<Vec<(FunctionName, u64)>, JournalError> {
        let counts = Journal::counts(self).await?;
        let waiting = counts.into_iter().filter_map(|(function, state, n)| {
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
        let ending = Ending::new(End::Lost, at, reason);
        let running = Several::Running(Arc::clone(except));
        self.end_several(running, ending, limit).await
    }

    async fn expire(
        &self,
        function: &FunctionName,
        accepted_before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let old = Several::Old(function.clone(), accepted_before);
        let ending = Ending::new(End::Expired, at, "max_event_age");
        self.end_several(old, ending, limit).await
    }

    async fn cancel_all(
        &self,
        function: &FunctionName,
        at: Timestamp,
        reason: &str,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let waiting = Several::Waiting(function.clone());
        let ending = Ending::new(End::Cancelled, at, reason);
        self.end_several(waiting, ending, limit).await
    }

    async fn get(&self, id: RequestId) -> Result<Option<Invocation>, JournalError> {
        let found = self.readers.read(move |c| read::get(c, id)).await?;
        found.map_err(|_| JournalError::Damaged(id))
    }

    async fn list(&self, query: &Query) -> Result<Page, JournalError> {
        let query = query.clone();
        self.lists.read(move |c| list::list(c, &query)).await
    }

    async fn counts(&self) -> Result<Vec<(FunctionName, InvocationState, u64)>, JournalError> {
        self.readers.read(read::counts).await
    }

    async fn register_functions(
        &self,
        present: &[(FunctionName, Execution)],
    ) -> Result<(), JournalError> {
        let present = present.to_vec();
        self.amend(move |group| group.register(&present)).await
    }

    async fn register_triggers(
        &self,
        present: &[TriggerName],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let present = present.to_vec();
        self.amend(move |group| group.register_triggers(&present, now))
            .await
    }

    async fn oldest_with_log_to_keep(
        &self,
        since: Timestamp,
    ) -> Result<Option<RequestId>, JournalError> {
        self.readers
            .read(move |connection| read::oldest_with_log_to_keep(connection, since))
            .await
    }

    async fn purge(&self, retention: &Retention, now: Timestamp) -> Result<Purged, JournalError> {
        self.forget(retention, now).await
    }

    fn hub_id(&self) -> String {
        self.hub_id.clone()
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn cursors(self: Arc<Self>) -> Arc<dyn Cursors> {
        self
    }

    async fn close(&self) {
        drop(lock(&self.queue).take());
        self.readers.close();
        self.lists.close();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            // If it panicked, the journal's health says so.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }
}

#[async_trait]
impl Cursors for SqliteJournal {
    async fn get(&self, trigger: &TriggerName, key: &[u8]) -> Result<Option<Bytes>, CursorError> {
        let (trigger, key) = (trigger.clone(), key.to_vec());
        let read = self.readers.read(move |c| read::cursor(c, &trigger, &key));
        read.await.map_err(cursor_error)
    }

    async fn range(
        &self,
        trigger: &TriggerName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<CursorEntry>, CursorError> {
        let (trigger, after) = (trigger.clone(), after.map(<[u8]>::to_vec));
        let read = self
            .readers
            .read(move |c| read::cursors(c, &trigger, after.as_deref(), limit));
        read.await.map_err(cursor_error)
    }

    async fn put(
        &self,
        trigger: &TriggerName,
        entries: Vec<CursorEntry>,
    ) -> Result<(), CursorError> {
        let trigger = trigger.clone();
        let write = self.write(true, 512, move |group| {
            group.put_cursors(&trigger, &entries)
        });
        write.await.map_err(cursor_error)
    }

    async fn watermark(
        &self,
        trigger: &TriggerName,
        stream: &str,
    ) -> Result<Option<u64>, CursorError> {
        let (trigger, stream) = (trigger.clone(), stream.to_owned());
        let read = self
            .readers
            .read(move |c| read::watermark(c, trigger.as_str(), &stream));
        read.await.map_err(cursor_error)
    }
}

fn cursor_error(error: JournalError) -> CursorError {
    CursorError(error.to_string())
}
