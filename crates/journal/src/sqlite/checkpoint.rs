//! Moves the write-ahead log into the file, on its own thread and connection, so that no caller waits for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;

use super::schema;
use super::shared::{Meaning, Shared, meaning};
use crate::Health;

/// How long a small log may lie when nobody writes.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// Passes over one log, at most.
const PASSES: u32 = 4;

/// So many pages may be left over for the writer, who moves them without being noticed.
const FEW_PAGES: i64 = 32;

/// Works until the sender is gone. Whoever woke it is told when the log is moved, but for a little.
pub(super) fn run(connection: &Connection, shared: &Arc<Shared>, wakes: &Receiver<()>) {
    loop {
        match wakes.recv_timeout(IDLE) {
            Ok(()) => {
                move_log(connection, shared);
                shared.log_is_moved();
            }
            Err(RecvTimeoutError::Timeout) => move_log(connection, shared),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Moves what it can of the log.
pub(super) fn move_log(connection: &Connection, shared: &Shared) {
    if matches!(shared.health(), Health::Poisoned(_)) {
        return;
    }
    let moving = shared.moving_log();
    let passed = pass(connection);
    drop(moving);
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
    for _ in 0..PASSES {
        let (pages, _) = schema::checkpoint(connection, "PASSIVE")?;
        if pages - before <= FEW_PAGES {
            break;
        }
        before = pages;
    }
    Ok(())
}
