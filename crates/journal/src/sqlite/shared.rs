//! What the threads of one journal share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use tripline_model::lock;

use super::identity::Spans;
use crate::{Health, JournalError};

/// The journal's health, the spans that have identities, and the state of checkpoints.
pub(super) struct Shared {
    pub(super) spans: Spans,
    health: Mutex<Health>,
    checkpointing: Mutex<()>,
    /// Whether the checkpoint that the writer asked for is done.
    checkpointed: AtomicBool,
}

/// What an SQLite error means for the journal.
pub(super) enum Meaning {
    /// No room on the disk.
    Full,
    /// It is no longer known what is on the disk.
    Poison,
    /// Only this call failed.
    Call,
}

// === impl Shared ===

impl Shared {
    /// A healthy journal.
    pub(super) fn new() -> Self {
        Self {
            spans: Spans::default(),
            health: Mutex::new(Health::Ok),
            checkpointing: Mutex::new(()),
            checkpointed: AtomicBool::new(false),
        }
    }

    /// Whether the journal takes writes.
    pub(super) fn health(&self) -> Health {
        self.lock().clone()
    }

    /// Held during a checkpoint: of two at the same time, the second would return at once with nothing done.
    pub(super) fn checkpoint_lock(&self) -> MutexGuard<'_, ()> {
        lock(&self.checkpointing)
    }

    /// Tells the writer that the WAL is checkpointed, except for what was written meanwhile.
    pub(super) fn set_checkpointed(&self) {
        self.checkpointed.store(true, Ordering::Release);
    }

    /// Whether the WAL was checkpointed since the last call.
    pub(super) fn take_checkpointed(&self) -> bool {
        self.checkpointed.swap(false, Ordering::Acquire)
    }

    /// Stops all writes for good. Only the first reason is kept.
    pub(super) fn poison(&self, why: &str) {
        let mut health = self.lock();
        if !matches!(*health, Health::Poisoned(_)) {
            tracing::error!(error = why, "the journal failed and takes no more writes");
            *health = Health::Poisoned(why.to_owned());
        }
    }

    /// Notes whether the disk is full.
    pub(super) fn set_full(&self, full: bool) {
        let mut health = self.lock();
        match (&*health, full) {
            (Health::Ok, true) => {
                tracing::warn!("the disk is full: no more events are taken, ends are recorded");
                *health = Health::Full;
            }
            (Health::Full, false) => {
                tracing::info!("the disk has room again: events are taken");
                *health = Health::Ok;
            }
            (Health::Ok, false) | (Health::Full, true) | (Health::Poisoned(_), _) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        lock(&self.health)
    }
}

/// What an error of a write means.
pub(super) fn meaning(error: &rusqlite::Error) -> Meaning {
    use rusqlite::{ErrorCode, ffi};
    let Some(sqlite) = error.sqlite_error() else {
        // A value could not be read or bound: nothing is wrong with SQLite.
        return Meaning::Call;
    };
    match sqlite.code {
        ErrorCode::DiskFull => Meaning::Full,
        // The index of the WAL could not grow, which also means a full disk.
        _ if sqlite.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Meaning::Full,
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::ConstraintViolation
        | ErrorCode::TooBig
        | ErrorCode::TypeMismatch
        | ErrorCode::OutOfMemory
        | ErrorCode::OperationInterrupted => Meaning::Call,
        _ => Meaning::Poison,
    }
}

/// The caller's error when nothing was stored.
pub(super) fn call_error(error: &rusqlite::Error) -> JournalError {
    JournalError::Unavailable(error.to_string())
}
