//! Changes records that the indexes do not have as they are, for the disk changed one or the other.

use rusqlite::config::DbConfig;
use rusqlite::{OptionalExtension, Params, params};
use tripline_model::{End, FunctionName, Invocation, InvocationState, RequestId};

use super::{Failure, Group};
use crate::JournalError;
use crate::sqlite::row;
use crate::sqlite::waiting::{self, Place, is_corrupt};

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
        let state = troubled.unwrap_or(InvocationState::Ended(End::Succeeded));
        self.remove_leniently(id)?;
        // What the indexes still have goes with a record that has the same. Only `long` may keep an entry, of no record.
        self.connection.execute(
            "INSERT INTO invocations (id, function, via, state, accepted_at, ended_at, kept_from,
             event_id, source, kind, time, data_len) VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5, '', '', '', 0, 0)",
            params![
                id.as_bytes(),
                function.as_deref().unwrap_or_default(),
                self.trigger_in_index(id)?,
                row::state_code(state),
                kept_from
            ],
        )?;
        self.connection
            .execute("DELETE FROM invocations WHERE id = ?1", [id.as_bytes()])?;
        let function = function.and_then(|name| FunctionName::new(&name).ok());
        Ok(function.map(|function| (function, state)))
    }

    /// Does a step that changes a record. If SQLite does not find in the indexes what the record says, and the record is
    /// what was written, the indexes are made to say the same, and the step is done after all. Otherwise `Damaged`.
    pub(super) fn despite_indexes(
        &mut self,
        id: RequestId,
        mut step: impl FnMut(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match step(self) {
            Err(Failure::Sql(error)) if is_corrupt(&error) => {}
            done => return done,
        }
        let Some(record) = waiting::whole(self.connection, id)?.flatten() else {
            return Err(Failure::Undo(JournalError::Damaged(id)));
        };
        let is_waiting = record.state == InvocationState::Accepted;
        let done = self
            .reindex(&record)
            .map_err(Failure::Sql)
            .and_then(|()| step(self));
        // If the end of a run cannot be recorded even so, the hub must not go on as if it were.
        done.map_err(|failure| if is_waiting { failure.of(id) } else { failure })
    }

    /// Makes the indexes say what a record says.
    fn reindex(&self, record: &Invocation) -> rusqlite::Result<()> {
        let id = record.request_id;
        if record.state == InvocationState::Accepted
            && let Some(place) = waiting::place(self.connection, &record.function, id)?
        {
            return self.put_in_place(&record.function, place);
        }
        self.leniently(REINDEX, [id.as_bytes()])
    }

    /// Makes a waiting record stand in its queue where it says itself, instead of at `place`.
    pub(super) fn put_in_place(
        &self,
        function: &FunctionName,
        place: Place,
    ) -> rusqlite::Result<()> {
        let id = place.id;
        let own = self.connection.query_row(
            "SELECT function, accepted_at FROM invocations WHERE id = ?1",
            [id.as_bytes()],
            |found| Ok((found.get::<_, String>(0)?, found.get::<_, i64>(1)?)),
        )?;
        // First as the index has it, so that SQLite finds and removes that afterwards.
        let sql = "UPDATE invocations SET function = ?2, accepted_at = ?3 WHERE id = ?1";
        let indexed = params![id.as_bytes(), function.as_str(), place.accepted_at];
        self.leniently(sql, indexed)?;
        let own = params![id.as_bytes(), own.0, own.1];
        self.connection.execute(sql, own).map(|_| ())
    }

    /// Removes a record. Entries of indexes that are not as the record says stay behind.
    pub(super) fn remove_leniently(&self, id: RequestId) -> rusqlite::Result<()> {
        self.leniently("DELETE FROM invocations WHERE id = ?1", [id.as_bytes()])
    }

    /// Changes a record. SQLite looks in the indexes for what the record says now, and if it does not find that, it
    /// refuses to change the record, unless it is told not to mind.
    fn leniently(&self, sql: &str, values: impl Params) -> rusqlite::Result<()> {
        let lenient = DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA;
        self.connection.set_db_config(lenient, true)?;
        let done = self.connection.execute(sql, values);
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

/// Changes nothing of a record, and has every index removed and written again.
const REINDEX: &str = "UPDATE invocations SET function = function, via = via, state = state, accepted_at = accepted_at,
    started_at = started_at, ended_at = ended_at, kept_from = kept_from WHERE id = ?1";

const SELECT_FUNCTION: &str =
    "SELECT function FROM invocations INDEXED BY by_function WHERE id = ?1";
const SELECT_TRIGGER: &str =
    "SELECT via FROM invocations INDEXED BY by_trigger WHERE via IS NOT NULL AND id = ?1";
const SELECT_TROUBLED: &str =
    "SELECT state FROM invocations INDEXED BY troubled WHERE state > 2 AND id = ?1";
