//! Starts and ends.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use tripline_model::{Ending, FunctionName, InvocationState, RequestId, Timestamp, Transition};

use super::{Failure, Group};
use crate::JournalError;
use crate::sqlite::{row, sum};

/// On a full disk, longer results are left out.
const TIGHT_RESULT_BYTES: usize = 4096;

/// Invocations that are ended the same way.
pub(in crate::sqlite) enum Several {
    /// Those that were started, except these.
    Running(Arc<HashSet<RequestId>>),
    /// Those of a function that wait.
    Waiting(FunctionName),
    /// Those of a function that wait and were accepted before a time.
    Old(FunctionName, Timestamp),
}

/// An invocation before a transition.
struct Before {
    state: InvocationState,
    function: FunctionName,
    started_at: Option<Timestamp>,
}

impl Group<'_> {
    /// Records a start.
    pub(in crate::sqlite) fn start(&mut self, id: RequestId, at: Timestamp) -> Result<(), Failure> {
        self.despite_indexes(id, |group| group.record_start(id, at))
    }

    fn record_start(&mut self, id: RequestId, at: Timestamp) -> Result<(), Failure> {
        let Before { function, .. } = self.before(id, Transition::Start)?;
        self.connection
            .prepare_cached("UPDATE invocations SET state = 1, started_at = ?2 WHERE id = ?1")?
            .execute(params![id.as_bytes(), at.as_millis()])?;
        self.count(&function, InvocationState::Accepted, -1);
        self.count(&function, InvocationState::Running, 1);
        Ok(())
    }

    /// Records an end at `now` and drops the event's data.
    pub(in crate::sqlite) fn finish(
        &mut self,
        id: RequestId,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.despite_indexes(id, |group| group.record_end(id, ending, now))
    }

    fn record_end(
        &mut self,
        id: RequestId,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let left_out = |result: &[u8]| self.tight && result.len() > TIGHT_RESULT_BYTES;
        let result = ending.result.as_deref();
        let kept = result.filter(|result| !left_out(result));
        let cut = ending.result_cut || (result.is_some() && kept.is_none());
        let result_crc = kept.map(crc32fast::hash);
        let Before {
            state: from,
            function,
            started_at,
        } = self.before(id, Transition::End(ending.end))?;
        let mut update = self.connection.prepare_cached(
            "UPDATE invocations SET state = ?2, ended_at = ?3, reason = ?4, detail = ?5, exit_code = ?6,
             signal = ?7, result_cut = ?8, duration_ms = ?9, peak_memory_bytes = ?10,
             memory_limit_bytes = ?11, kept_from = ?12, ended_crc = ?13, result_crc = ?14
             WHERE id = ?1",
        )?;
        update.execute(params![
            id.as_bytes(),
            row::state_code(InvocationState::Ended(ending.end)),
            ending.at.as_millis(),
            ending.reason,
            ending.detail,
            ending.exit_code,
            ending.signal,
            cut,
            ending.duration_ms.map(row::amount),
            ending.peak_memory_bytes.map(row::amount),
            ending.memory_limit_bytes.map(row::amount),
            ending.at.max(now).as_millis(),
            sum::ended(id, started_at, ending, (cut, result_crc)),
            result_crc
        ])?;
        self.connection
            .prepare_cached("DELETE FROM payloads WHERE id = ?1")?
            .execute([id.as_bytes()])?;
        if let Some(kept) = kept {
            self.connection
                .prepare_cached("INSERT INTO results (id, data) VALUES (?1, ?2)")?
                .execute(params![id.as_bytes(), kept])?;
        }
        self.count(&function, from, -1);
        self.count(&function, InvocationState::Ended(ending.end), 1);
        Ok(())
    }

    /// Ends up to `limit` invocations at `now`, but none of `unreadable`; says which.
    pub(in crate::sqlite) fn end_several(
        &mut self,
        which: &Several,
        ending: &Ending,
        now: Timestamp,
        (unreadable, limit): (&HashSet<RequestId>, usize),
    ) -> Result<Vec<RequestId>, Failure> {
        match which {
            Several::Running(except) => {
                let ids = self.running(except, limit)?;
                for id in &ids {
                    self.finish(*id, ending, now)?;
                }
                Ok(ids)
            }
            Several::Waiting(function) => {
                self.end_waiting((function, i64::MAX), ending, now, (unreadable, limit))
            }
            Several::Old(function, before) => self.end_waiting(
                (function, before.as_millis()),
                ending,
                now,
                (unreadable, limit),
            ),
        }
    }

    fn running(
        &self,
        except: &HashSet<RequestId>,
        limit: usize,
    ) -> rusqlite::Result<Vec<RequestId>> {
        let mut select = self
            .connection
            .prepare_cached("SELECT id FROM invocations WHERE state = 1 ORDER BY id")?;
        let found = select.query_map([], |found| row::id(found, 0))?;
        let wanted =
            |id: &rusqlite::Result<RequestId>| !matches!(id, Ok(id) if except.contains(id));
        found.filter(wanted).take(limit).collect()
    }

    /// The state of an invocation before this transition, which must be allowed. A query of its own, because with
    /// `RETURNING` SQLite builds a temporary table for the one row.
    fn before(&self, id: RequestId, transition: Transition) -> Result<Before, Failure> {
        let found = self
            .connection
            .prepare_cached("SELECT state, function, started_at FROM invocations WHERE id = ?1")?
            .query_row([id.as_bytes()], |found| {
                let started_at: Option<i64> = found.get(2)?;
                Ok(Before {
                    state: row::state(found, 0)?,
                    function: row::function(found, 1)?,
                    started_at: started_at.map(Timestamp::from_millis),
                })
            })
            .optional()?;
        let before = found.ok_or(Failure::Refused(JournalError::NotFound(id)))?;
        match before.state.apply(transition) {
            Ok(_) => Ok(before),
            Err(illegal) => Err(Failure::Refused(JournalError::Illegal(illegal))),
        }
    }
}
