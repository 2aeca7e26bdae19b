//! Changes records that the indexes do not have as they are, for the disk changed one or the other.

use rusqlite::config::DbConfig;
use rusqlite::{OptionalExtension, params};
use tripline_model::{End, FunctionName, InvocationState, RequestId};

use super::Group;
use crate::sqlite::row;

impl Group<'_> {
    /// Removes an ended record that is damaged, and what the indexes have of it; `kept_from` is what `ended` has. Answers
    /// the function and the state under which it was counted.
    pub(super) fn erase(
        &self,
        id: RequestId,
        kept_from: i64,
    ) -> rusqlite::Result<Option<(FunctionName, InvocationState)>> {
        let function = self.in_index(SELECT_FUNCTION, id, |found| found.get::<_, String>(0))?;
        let troubled = self.in_index(SELECT_TROUBLED, id, |found| row::state(found, 0))?;
        let is_long = self.in_index(SELECT_LONG, id, |_| Ok(()))?.is_some();
        let state = troubled.unwrap_or(InvocationState::Ended(End::Succeeded));
        self.remove_leniently(id)?;
        // What the indexes still have goes with a record that has the same.
        let started_at = is_long.then(|| kept_from.saturating_sub(LONG_RUN_MS));
        self.connection.execute(
            "INSERT INTO invocations (id, function, via, state, accepted_at, started_at, ended_at, kept_from,
             event_id, source, kind, time, data_len) VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?6, '', '', '', 0, 0)",
            params![
                id.as_bytes(),
                function.as_deref().unwrap_or_default(),
                self.trigger_in_index(id)?,
                row::state_code(state),
                started_at,
                kept_from
            ],
        )?;
        self.connection
            .execute("DELETE FROM invocations WHERE id = ?1", [id.as_bytes()])?;
        let function = function.and_then(|name| FunctionName::new(&name).ok());
        Ok(function.map(|function| (function, state)))
    }

    /// Removes a record. Entries of indexes that are not as the record says stay behind.
    pub(super) fn remove_leniently(&self, id: RequestId) -> rusqlite::Result<()> {
        self.leniently("DELETE FROM invocations WHERE id = ?1", id)
    }

    /// Changes a record. SQLite looks in the indexes for what the record says now, and if it does not find that, it
    /// refuses to change the record, unless it is told not to mind.
    fn leniently(&self, sql: &str, id: RequestId) -> rusqlite::Result<()> {
        let lenient = DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA;
        self.connection.set_db_config(lenient, true)?;
        let done = self.connection.execute(sql, [id.as_bytes()]);
        self.connection.set_db_config(lenient, false)?;
        done.map(|_| ())
    }

    /// The trigger under which an invocation is found.
    pub(super) fn trigger_in_index(&self, id: RequestId) -> rusqlite::Result<Option<String>> {
        self.in_index(SELECT_TRIGGER, id, |found| found.get(0))
    }

    /// What an index has of an invocation. Mostly walks over the whole index: rare enough, and the entry would otherwise
    /// stay behind.
    fn in_index<T>(
        &self,
        sql: &str,
        id: RequestId,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        let mut select = self.connection.prepare_cached(sql)?;
        select.query_row([id.as_bytes()], read).optional()
    }
}

/// A bit more than what the index `long` asks for.
const LONG_RUN_MS: i64 = 60_001;

const SELECT_FUNCTION: &str =
    "SELECT function FROM invocations INDEXED BY by_function WHERE id = ?1";
const SELECT_TRIGGER: &str =
    "SELECT via FROM invocations INDEXED BY by_trigger WHERE via IS NOT NULL AND id = ?1";
const SELECT_TROUBLED: &str =
    "SELECT state FROM invocations INDEXED BY troubled WHERE state > 2 AND id = ?1";
const SELECT_LONG: &str = "SELECT id FROM invocations INDEXED BY long
    WHERE ifnull(kept_from, ended_at) - started_at > 60000 AND id = ?1";
