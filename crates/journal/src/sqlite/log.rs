//! How long the write-ahead log is, and how long it may get. It keeps the length of its file when it begins anew: what is
//! written over costs less to make durable than what is appended, and cutting a file takes longer than many writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::schema::PAGE_BYTES;

/// The length of the log, as of the last commit, and its bounds, all in bytes.
pub(super) struct Log {
    length: Arc<AtomicU64>,
    /// The room for moving it.
    reserve: u64,
}

// === impl Log ===

impl Log {
    /// Watches the log that `writer` writes. Within the bounds, moving the whole log takes less room than `reserve`.
    pub(super) fn watch(writer: &mut Connection, reserve: u64) -> rusqlite::Result<Self> {
        let length = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&length);
        writer.wal_hook(Some(move |_: &mut _, pages: i32| {
            seen.store(
                u64::from(pages.unsigned_abs()) * PAGE_BYTES,
                Ordering::Relaxed,
            );
            Ok(())
        }))?;
        Ok(Self { length, reserve })
    }

    /// Keeps it within the bounds of another reserve.
    pub(super) fn fit(&mut self, reserve: u64) {
        self.reserve = reserve;
    }

    /// Whether it is time for the checkpoint thread to move it, and for the writer to begin it anew.
    pub(super) fn is_long(&self) -> bool {
        self.length() > self.reserve / 4
    }

    /// Whether it must not grow further before the writer has moved it.
    pub(super) fn is_too_long(&self) -> bool {
        self.length() > self.reserve / 2
    }

    /// It begins anew with the next commit.
    pub(super) fn begins_anew(&self) {
        self.length.store(0, Ordering::Relaxed);
    }

    fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }
}
