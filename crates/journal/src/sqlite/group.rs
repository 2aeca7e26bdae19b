//! One transaction: what several callers wrote at the same time.

mod accept;
mod cursors;
mod end;
mod mend;
mod purge;
mod registry;
mod waiting;

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, params};
use tripline_model::{FunctionName, InvocationState, RequestId};

use super::identity::Spans;
use super::row;
use super::waiting::is_corrupt;
use crate::JournalError;
pub(super) use end::Several;

/// An open transaction. Counts and watermarks are collected here and written once, before the commit.
pub(super) struct Group<'c> {
    connection: &'c Connection,
    spans: &'c Spans,
    /// Whether the disk is full, so that large results are left out.
    tight: bool,
    counts: HashMap<(FunctionName, u8), i64>,
    watermarks: HashMap<(String, String), Mark>,
}

/// The watermark of a stream, as this transaction leaves it.
struct Mark {
    position: Option<u64>,
    changed: bool,
}

/// Why a call failed within a transaction.
#[derive(Debug)]
pub(super) enum Failure {
    /// The call is not allowed, and wrote nothing: the others go on.
    Refused(JournalError),
    /// The call is not allowed, and wrote something: the transaction must be undone.
    Undo(JournalError),
    /// SQLite failed.
    Sql(rusqlite::Error),
}

// === impl Failure ===

impl Failure {
    /// Whether SQLite gave up waiting for another process that held the database.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
    }

    /// As a failure of this record alone, if SQLite could not read what the disk has of it. What is undone is as it was
    /// before, so the journal goes on.
    fn of(self, id: RequestId) -> Self {
        match self {
            Self::Sql(error) if is_corrupt(&error) => Self::Undo(JournalError::Damaged(id)),
            other => other,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

// === impl Group ===

impl<'c> Group<'c> {
    /// Begins a transaction.
    pub(super) fn begin(
        connection: &'c Connection,
        spans: &'c Spans,
        tight: bool,
    ) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self {
            connection,
            spans,
            tight,
            counts: HashMap::new(),
            watermarks: HashMap::new(),
        })
    }

    /// Writes the counts and watermarks and commits. Durable when it returns.
    pub(super) fn commit(self) -> rusqlite::Result<()> {
        self.write_counts()?;
        self.write_watermarks()?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn write_counts(&self) -> rusqlite::Result<()> {
        let mut add = self.connection.prepare_cached(
            "INSERT INTO counts (function, state, n) VALUES (?1, ?2, ?3)
             ON CONFLICT (function, state) DO UPDATE SET n = n + excluded.n",
        )?;
        let changed = self.counts.iter().filter(|(_, n)| **n != 0);
        for ((function, state), n) in changed {
            add.execute(params![function.as_str(), state, n])?;
        }
        Ok(())
    }

    fn write_watermarks(&self) -> rusqlite::Result<()> {
        let mut put = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO watermarks (via, stream, position) VALUES (?1, ?2, ?3)",
        )?;
        for ((via, stream), mark) in &self.watermarks {
            if let (true, Some(position)) = (mark.changed, mark.position) {
                put.execute(params![via, stream, position.cast_signed()])?;
            }
        }
        Ok(())
    }

    fn count(&mut self, function: &FunctionName, state: InvocationState, by: i64) {
        let key = (function.clone(), row::state_code(state));
        *self.counts.entry(key).or_default() += by;
    }
}
