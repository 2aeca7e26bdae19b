//! Moves the write-ahead log into the file, on its own thread and connection, so that no caller waits for it.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use std::sync::mpsc::RecvTimeoutError;

use rusqlite::Connection;

use super::schema;
use super::shared::{Meaning, Shared, meaning};
use crate::Health;

/// How long a small log may lie when nobody writes.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// Works until the sender is gone; a log of more than `long` bytes is cut.
pub(super) fn run(connection: &Connection, shared: &Arc<Shared>, wakes: &Receiver<()>, long: u64) {
    loop {
        if wakes.recv_timeout(IDLE) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        move_log(connection, shared, long);
    }
}

/// Moves what it can of the log; one of more than `long` bytes is cut.
pub(super) fn move_log(connection: &Connection, shared: &Shared, long: u64) {
    if matches!(shared.health(), Health::Poisoned(_)) {
        return;
    }
    let moving = shared.moving_log();
    let passed = pass(connection, long);
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

fn pass(connection: &Connection, long: u64) -> rusqlite::Result<()> {
    // Most of the work is done beside the writers.
    let (pages, _) = schema::checkpoint(connection, "PASSIVE")?;
    if pages.unsigned_abs() * schema::PAGE_BYTES > long {
        // Writers wait a moment for the rest.
        schema::checkpoint(connection, "TRUNCATE")?;
    }
    Ok(())
}
