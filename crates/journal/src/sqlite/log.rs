//! How long the write-ahead log is, and how long it may get. It keeps the length of its file when it begins anew: what is
//! written over costs less to make durable than what is appended, and cutting a file takes longer than many writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::schema::PAGE_BYTES;

/// The length of the log, as of the last commit, and its bounds, all in bytes.
pub(super) struct Log {
    length: Arc<AtomicU64>,
    /// Above, the checkpoint thread moves it, and the writer begins it anew.
    soft: u64,
    /// Above, the writer moves it before it writes more.
    hard: u64,
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
        Ok(Self {
            length,
            soft: reserve / 4,
            hard: reserve / 2,
        })
    }

    /// Whether it is time to move it.
    pub(super) fn is_long(&self) -> bool {
        self.length() > self.soft
    }

    /// Whether it must not grow further.
    pub(super) fn is_too_long(&self) -> bool {
        self.length() > self.hard
    }

    /// It begins anew with the next commit.
    pub(super) fn begins_anew(&self) {
        self.length.store(0, Ordering::Relaxed);
    }

    fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }
}
