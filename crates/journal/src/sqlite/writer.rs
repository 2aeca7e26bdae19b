//! The one thread that writes. What was queued during a flush becomes the next transaction, so that one fsync serves all
//! who wait, and no timer is needed.

mod room;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::data_dir::{DirLock, Place};
use super::group::{Failure, Group};
use super::job::Work;
use super::reserve::Reserve;
use super::shared::{Meaning, Shared, call_error, meaning};
use super::wal_size::WalSize;
use super::{checkpoint, schema};
use crate::{Health, JournalError};

/// Bounds of one transaction, so that nobody waits long for the previous one.
const MAX_JOBS: usize = 1024;
const MAX_BYTES: usize = 4 << 20;

/// If the last transaction had at least so many jobs, more callers are about to write. The writer then yields to threads
/// that wait for a processor, so that their writes share the flush; if none waits, it goes on at once. After fewer jobs
/// it does not yield: a few callers should not wait for other work of the machine.
const MIN_JOBS_TO_YIELD: usize = 8;

/// What the writer thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) reserve: Reserve,
    pub(super) checkpoints: Checkpoints,
    pub(super) wal_size: WalSize,
    /// The file that it writes to.
    pub(super) place: Place,
    /// Released after the last write.
    pub(super) lock: DirLock,
    /// Whether a checkpoint was asked for and is not done yet.
    pub(super) checkpointing: bool,
    /// Whether the file may not grow: the disk is full, but events are taken, for the file has free pages.
    pub(super) must_not_grow: bool,
    /// On a full disk: when to look for room again.
    pub(super) look_again: Option<Instant>,
}

/// Who checkpoints the WAL.
pub(super) enum Checkpoints {
    /// A thread; `wake` wakes it, and ends it when dropped.
    Thread {
        wake: SyncSender<()>,
        thread: JoinHandle<()>,
    },
    /// The writer itself, on this connection, when it has answered.
    Inline(Connection),
}

/// How long the writer waits for readers of an old state before it gives up restarting the WAL.
const RESTART_TIMEOUT: Duration = Duration::from_millis(20);

type Jobs = Vec<Box<dyn Work>>;

/// Poisons the journal if the thread panics.
struct Alarm(Arc<Shared>);

// === impl Writer ===

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self, mut queue: Receiver<Box<dyn Work>>) {
        let _alarm = Alarm(Arc::clone(&self.shared));
        let mut together = 0;
        while let Some(first) = queue.blocking_recv() {
            if together >= MIN_JOBS_TO_YIELD {
                thread::yield_now();
            }
            together = self.turn(first, &mut queue);
        }
        self.finish();
    }

    /// As `run`, in the task that polls it. When nobody wrote for a while, even a small WAL is checkpointed,
    /// as the thread does it.
    pub(super) async fn run_inline(mut self, mut queue: Receiver<Box<dyn Work>>) {
        let _alarm = Alarm(Arc::clone(&self.shared));
        loop {
            match tokio::time::timeout(checkpoint::IDLE_BEFORE_CHECKPOINT, queue.recv()).await {
                Ok(Some(first)) => {
                    self.turn(first, &mut queue);
                }
                Ok(None) => break,
                Err(_) => self.checkpoint(),
            }
        }
        self.finish();
    }

    /// One transaction: `first`, and what is queued behind it. Answers how many jobs these were.
    fn turn(&mut self, first: Box<dyn Work>, queue: &mut Receiver<Box<dyn Work>>) -> usize {
        let (mut jobs, mut weight) = (Vec::new(), first.need().weight);
        jobs.push(first);
        while jobs.len() < MAX_JOBS && weight < MAX_BYTES {
            let Ok(next) = queue.try_recv() else { break };
            weight += next.need().weight;
            jobs.push(next);
        }
        let together = jobs.len();
        self.write(jobs);
        self.tend_wal();
        together
    }

    fn write(&mut self, jobs: Jobs) {
        // A receipt is worth nothing if the file it is kept in can never be opened again.
        if let Some(why) = self.place.lost() {
            self.shared.poison(&why);
        }
        match self.shared.health() {
            Health::Ok => self.write_group(jobs),
            // Room is looked for only here, and rarely, so that a failed write does not lead to a second one that fails.
            Health::Full if wants_room(&jobs) && self.leave_full() => self.write_group(jobs),
            Health::Full => self.write_tight(jobs),
            Health::Poisoned(why) => answer(jobs, &JournalError::Poisoned(why)),
        }
    }

    fn write_group(&mut self, mut jobs: Jobs) {
        let mut done = self.transaction(&mut jobs, false);
        if let Err(failure) = &done
            && self.verdict(failure).is_none()
            && self.outgrow()
        {
            // Only once: from now on the file may grow, so the next time the disk itself is full.
            done = self.transaction(&mut jobs, false);
        }
        match done {
            Ok(()) => jobs.into_iter().for_each(|job| job.answer(Ok(()))),
            Err(failure) => self.recover(jobs, &failure),
        }
    }

    /// Nothing of the jobs is stored, unless the journal is poisoned.
    fn recover(&mut self, jobs: Jobs, failure: &Failure) {
        let Some(error) = self.verdict(failure) else {
            self.enter_full();
            return self.write_tight(jobs);
        };
        if jobs.len() == 1 || concerns_all(&error, failure) {
            return answer(jobs, &error);
        }
        // Only one of them failed: each is tried alone.
        for job in jobs {
            self.write(vec![job]);
        }
    }

    /// What a failed transaction's callers are told; `None` if the disk is full.
    fn verdict(&self, failure: &Failure) -> Option<JournalError> {
        let error = match failure {
            Failure::Refused(why) | Failure::Undo(why) => return Some(why.clone()),
            Failure::Sql(error) => error,
        };
        match meaning(error) {
            Meaning::Full => None,
            Meaning::Call => Some(call_error(error)),
            Meaning::Poison => {
                self.shared.poison(&error.to_string());
                Some(JournalError::Poisoned(error.to_string()))
            }
        }
    }

    /// On a full disk: what needs room is refused, the rest is written with what the reserve left.
    fn write_tight(&mut self, jobs: Jobs) {
        let (growing, ending): (Jobs, Jobs) = jobs.into_iter().partition(|job| job.need().room);
        answer(growing, &JournalError::Full);
        if self.wal_size.is_large() {
            self.truncate_wal_or_warn();
        }
        self.write_ends(ending);
    }

    fn write_ends(&mut self, mut jobs: Jobs) {
        if jobs.is_empty() {
            return;
        }
        let Err(failure) = self.transaction(&mut jobs, true) else {
            return jobs.into_iter().for_each(|job| job.answer(Ok(())));
        };
        let error = self.verdict(&failure).unwrap_or(JournalError::Full);
        if jobs.len() == 1 || concerns_all(&error, &failure) {
            return answer(jobs, &error);
        }
        for job in jobs {
            self.write_ends(vec![job]);
        }
    }

    fn transaction(&self, jobs: &mut Jobs, tight: bool) -> Result<(), Failure> {
        let done = Group::begin(&self.connection, &self.shared.spans, tight)
            .map_err(Failure::Sql)
            .and_then(|mut group| {
                for job in jobs {
                    job.attempt(&mut group)?;
                }
                group.commit().map_err(Failure::Sql)
            });
        if done.is_err()
            && !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            self.shared.poison(&error.to_string());
        }
        done
    }

    fn tend_wal(&mut self) {
        if matches!(self.shared.health(), Health::Poisoned(_)) {
            return;
        }
        if self.wal_size.is_too_large() {
            // A WAL that grows while it cannot be checkpointed would outgrow the reserve.
            if self.truncate_wal().is_err() && self.shared.health() == Health::Ok {
                self.enter_full();
            }
        } else if self.wal_size.is_large() {
            if self.shared.take_checkpointed() {
                self.restart_wal();
            } else if !self.checkpointing {
                self.checkpoint();
            }
        }
    }

    /// Has the WAL checkpointed, except for what is written meanwhile.
    fn checkpoint(&mut self) {
        match &self.checkpoints {
            Checkpoints::Thread { wake, .. } => {
                self.checkpointing = wake.try_send(()).is_ok();
            }
            Checkpoints::Inline(connection) => {
                checkpoint::checkpoint(connection, &self.shared);
                if self.wal_size.is_large() {
                    self.restart_wal();
                }
            }
        }
    }

    /// Checkpoints the few pages that are left, so that the next commit goes to the beginning of the WAL. The other
    /// thread cannot do this: it would find a moment without a write only by chance.
    fn restart_wal(&mut self) {
        self.checkpointing = false;
        let restarted = self
            .connection
            .busy_timeout(RESTART_TIMEOUT)
            .and_then(|()| {
                let restarted = self
                    .locked_checkpoint(|connection, _| schema::checkpoint(connection, "RESTART"));
                self.connection
                    .busy_timeout(schema::BUSY_TIMEOUT)
                    .and(restarted)
            });
        if let Err(error) = restarted {
            match meaning(&error) {
                Meaning::Poison => self.shared.poison(&format!("checkpoint: {error}")),
                Meaning::Full | Meaning::Call => {
                    tracing::warn!(%error, "a checkpoint was put off");
                }
            }
        }
    }

    /// Checkpoints the whole WAL and truncates it; an error says that there is no room for that.
    fn truncate_wal(&self) -> Result<(), JournalError> {
        if matches!(self.shared.health(), Health::Poisoned(_)) {
            return Ok(());
        }
        let Err(error) = self.locked_checkpoint(schema::truncate_wal) else {
            return Ok(());
        };
        match meaning(&error) {
            Meaning::Full => return Err(JournalError::Full),
            Meaning::Poison => self.shared.poison(&format!("checkpoint: {error}")),
            Meaning::Call => tracing::warn!(%error, "a checkpoint was put off"),
        }
        Ok(())
    }

    /// Runs a checkpoint with the lock held; a complete one makes the next commit begin the WAL again.
    fn locked_checkpoint(
        &self,
        how: impl Fn(&Connection, &Path) -> rusqlite::Result<(i64, i64)>,
    ) -> rusqlite::Result<()> {
        let guard = self.shared.checkpoint_lock();
        let (pages, checkpointed) = how(&self.connection, self.place.path())?;
        drop(guard);
        if pages == checkpointed {
            self.wal_size.reset();
        }
        Ok(())
    }

    fn truncate_wal_or_warn(&self) {
        if let Err(error) = self.truncate_wal() {
            tracing::warn!(%error, "the journal's WAL cannot be checkpointed");
        }
    }

    fn finish(self) {
        if let Checkpoints::Thread { wake, thread } = self.checkpoints {
            drop(wake);
            let _ = thread.join();
        }
        if matches!(self.shared.health(), Health::Poisoned(_)) {
            return;
        }
        if let Err(error) = schema::truncate_wal(&self.connection, self.place.path()) {
            tracing::warn!(%error, "the journal's WAL stays; the next start checkpoints it");
        }
        if self.shared.health() == Health::Full {
            self.reserve.make_what_fits();
        }
        drop(self.connection);
        drop(self.lock);
    }
}

fn wants_room(jobs: &Jobs) -> bool {
    jobs.iter().any(|job| job.need().room)
}

/// Whether all jobs failed for the same reason, so that trying each alone would not help. After one wait for another
/// process, none waits again.
fn concerns_all(error: &JournalError, failure: &Failure) -> bool {
    matches!(error, JournalError::Poisoned(_)) || failure.is_busy()
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison("the writer thread panicked");
        }
    }
}

fn answer(jobs: Jobs, error: &JournalError) {
    for job in jobs {
        job.answer(Err(error.clone()));
    }
}
