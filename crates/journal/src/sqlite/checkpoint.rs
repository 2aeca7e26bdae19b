//! Checkpoints: copies what is in the write-ahead log (WAL) into the database, on a thread and connection of its own, so
//! that no caller waits for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc::WeakSender;

use super::job::{LookForRoom, Work};
use super::schema;
use super::shared::{Meaning, Shared, meaning};
use crate::Health;

/// After so long without a write, even a small WAL is checkpointed.
pub(super) const IDLE_BEFORE_CHECKPOINT: Duration = Duration::from_secs(30);

/// How often room is looked for on a full disk.
pub(super) const ROOM_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The most passes over one WAL.
const MAX_PASSES: u32 = 4;

/// The most pages that are left for the writer, which copies so few without holding up callers noticeably.
const MAX_PAGES_LEFT: i64 = 32;

/// Runs until the sender is gone. After each wake-up the WAL is checkpointed except for a few pages, and the writer is
/// told so. While the disk is full, the writer is asked to look for room: events are not offered to it then, so nobody
/// else asks.
pub(super) fn run(
    connection: &Connection,
    shared: &Arc<Shared>,
    wakes: &Receiver<()>,
    writer: &WeakSender<Box<dyn Work>>,
) {
    loop {
        let is_full = shared.health() == Health::Full;
        match wakes.recv_timeout(if is_full {
            ROOM_CHECK_INTERVAL
        } else {
            IDLE_BEFORE_CHECKPOINT
        }) {
            Ok(()) => {
                checkpoint(connection, shared);
                shared.set_checkpointed();
            }
            Err(RecvTimeoutError::Timeout) if is_full => {
                if let Some(writer) = writer.upgrade() {
                    // Where the queue is full, another job makes the writer look.
                    let _ = writer.try_send(Box::new(LookForRoom));
                }
            }
            Err(RecvTimeoutError::Timeout) => checkpoint(connection, shared),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Checkpoints as much of the WAL as is possible while others read and write.
pub(super) fn checkpoint(connection: &Connection, shared: &Shared) {
    if matches!(shared.health(), Health::Poisoned(_)) {
        return;
    }
    let guard = shared.checkpoint_lock();
    let passed = pass(connection);
    drop(guard);
    if let Err(error) = passed {
        match meaning(&error) {
            Meaning::Poison => shared.poison(&format!("checkpoint: {error}")),
            Meaning::Full | Meaning::Call => {
                tracing::warn!(%error, "a checkpoint was put off");
            }
        }
    }
}

/// The writer goes on writing meanwhile: each pass has less to do than the one before.
fn pass(connection: &Connection) -> rusqlite::Result<()> {
    let mut before = 0;
    for _ in 0..MAX_PASSES {
        let (pages, _) = schema::checkpoint(connection, "PASSIVE")?;
        if pages - before <= MAX_PAGES_LEFT {
            break;
        }
        before = pages;
    }
    Ok(())
}
