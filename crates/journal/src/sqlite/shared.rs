//! What the threads of one journal share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::identity::Spans;
use crate::{Health, JournalError};

/// Health, and where identities are.
pub(super) struct Shared {
    pub(super) spans: Spans,
    health: Mutex<Health>,
    moving: Mutex<()>,
    /// Whether the log that the writer had moved is moved.
    moved: AtomicBool,
}

/// What an SQLite error means for the journal.
pub(super) enum Meaning {
    /// No room on the disk.
    Full,
    /// What is on the disk is no longer known.
    Poison,
    /// The call failed, and only that.
    Call,
}

// === impl Shared ===

impl Shared {
    /// A healthy journal.
    pub(super) fn new() -> Self {
        Self {
            spans: Spans::default(),
            health: Mutex::new(Health::Ok),
            moving: Mutex::new(()),
            moved: AtomicBool::new(false),
        }
    }

    /// Whether the journal takes writes.
    pub(super) fn health(&self) -> Health {
        self.lock().clone()
    }

    /// Held while the log is moved: SQLite lets the second of two who try go away at once, with nothing done.
    pub(super) fn moving_log(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the writer that the log is moved, but for what was written meanwhile.
    pub(super) fn log_is_moved(&self) {
        self.moved.store(true, Ordering::Release);
    }

    /// Whether it was told so; once.
    pub(super) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Acquire)
    }

    /// No more writes, ever. The first reason stays.
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
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `error`, met while writing, means.
pub(super) fn meaning(error: &rusqlite::Error) -> Meaning {
    use rusqlite::{ErrorCode, ffi};
    let Some(sqlite) = error.sqlite_error() else {
        // A value that cannot be read or bound: SQLite itself is well.
        return Meaning::Call;
    };
    match sqlite.code {
        ErrorCode::DiskFull => Meaning::Full,
        // The index of the log could not grow: the same, said otherwise.
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

/// What a caller is told of `error` when nothing was stored.
pub(super) fn call_error(error: &rusqlite::Error) -> JournalError {
    JournalError::Unavailable(error.to_string())
}
