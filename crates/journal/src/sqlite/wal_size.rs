//! How large the write-ahead log (WAL) is, and how large it may get. A restarted WAL keeps the length of its file:
//! overwriting costs less to make durable than appending, and truncating a file takes longer than many writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::schema::PAGE_BYTES;

/// The length of the WAL after the last commit, and the reserve that bounds it, both in bytes.
pub(super) struct WalSize {
    length: Arc<AtomicU64>,
    /// The room that a checkpoint may need.
    reserve: u64,
}

// === impl WalSize ===

impl WalSize {
    /// Watches the WAL that `writer` writes. Within the bounds, a checkpoint of all of it takes less room than `reserve`.
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

    /// Sets the reserve from which the bounds follow.
    pub(super) fn set_reserve(&mut self, reserve: u64) {
        self.reserve = reserve;
    }

    /// Whether it is time for a checkpoint, after which the writer restarts the WAL.
    pub(super) fn is_large(&self) -> bool {
        self.length() > self.reserve / 4
    }

    /// Whether the WAL must not grow further before the writer has checkpointed and truncated it.
    pub(super) fn is_too_large(&self) -> bool {
        self.length() > self.reserve / 2
    }

    /// The next commit is written to the beginning of the WAL.
    pub(super) fn reset(&self) {
        self.length.store(0, Ordering::Relaxed);
    }

    fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }
}
