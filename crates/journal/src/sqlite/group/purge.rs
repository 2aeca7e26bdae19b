//! What retention removes.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, params};
use tripline_model::{FunctionName, InvocationState, RequestId, Timestamp};

use super::{Failure, Group};
use crate::sqlite::shared::call_error;
use crate::sqlite::waiting::{self, is_corrupt};
use crate::sqlite::{identity, row};

impl Group<'_> {
    /// Removes about `limit` cursors and watermarks of triggers that have been missing since before `before`; says how
    /// many.
    pub(in crate::sqlite) fn purge_notes(
        &mut self,
        before: Timestamp,
        limit: i64,
    ) -> Result<u64, Failure> {
        let gone = self
            .connection
            .prepare_cached(
                "SELECT substr(name, 6) FROM meta
                 WHERE name GLOB 'gone:*' AND CAST(value AS INTEGER) < ?1 LIMIT 1",
            )?
            .query_row([before.as_millis()], |found| found.get::<_, String>(0));
        let Some(via) = gone.optional()? else {
            return Ok(0);
        };
        let mut removed = self
            .connection
            .prepare_cached(
                "DELETE FROM cursors WHERE via = ?1 AND key IN
                 (SELECT key FROM cursors WHERE via = ?1 ORDER BY key LIMIT ?2)",
            )?
            .execute(params![via, limit])?;
        if removed == 0 {
            for sql in [
                "DELETE FROM watermarks WHERE via = ?1",
                "DELETE FROM meta WHERE name = 'gone:' || ?1",
            ] {
                removed += self.connection.prepare_cached(sql)?.execute([&via])?;
            }
        }
        Ok(removed as u64)
    }

    /// Removes up to `limit` records whose end was recorded before `before`, the oldest first, except those of `except`;
    /// says how many. `Damaged` if SQLite can neither read nor remove one.
    pub(in crate::sqlite) fn purge_ended(
        &mut self,
        before: Timestamp,
        except: &HashSet<RequestId>,
        limit: usize,
    ) -> Result<u64, Failure> {
        // Only from the index: what the records have may be damaged.
        let mut select = self.connection.prepare_cached(
            "SELECT id, ifnull(kept_from, ended_at) FROM invocations INDEXED BY ended
             WHERE ended_at IS NOT NULL AND ifnull(kept_from, ended_at) < ?1
             ORDER BY ifnull(kept_from, ended_at), id",
        )?;
        let found = select.query_map([before.as_millis()], |found| {
            Ok((row::id(found, 0)?, found.get(1)?))
        })?;
        let wanted = |one: &rusqlite::Result<(RequestId, i64)>| !matches!(one, Ok((id, _)) if except.contains(id));
        let ended = found.filter(wanted).take(limit);
        let ended: rusqlite::Result<Vec<_>> = ended.collect();
        // Nothing was written yet: an index that cannot be read is no reason to stop all writes.
        let ended = ended.map_err(|error| match is_corrupt(&error) {
            true => Failure::Undo(call_error(&error)),
            false => Failure::Sql(error),
        })?;
        for (id, kept_from) in &ended {
            let removed = self.remove_ended(*id, *kept_from);
            removed.map_err(|error| Failure::Sql(error).of(*id))?;
        }
        Ok(ended.len() as u64)
    }

    /// Removes an ended record with its result, and counts it out.
    fn remove_ended(&mut self, id: RequestId, kept_from: i64) -> rusqlite::Result<()> {
        let counted = match self.remove_whole(id) {
            Ok(Some(counted)) => Some(counted),
            Ok(None) => self.erase(id, kept_from)?,
            Err(error) if is_corrupt(&error) => self.erase(id, kept_from)?,
            Err(error) => return Err(error),
        };
        self.connection
            .prepare_cached("DELETE FROM results WHERE id = ?1")?
            .execute([id.as_bytes()])?;
        if let Some((function, state)) = counted {
            self.count(&function, state, -1);
        }
        Ok(())
    }

    /// Removes a record if it is what was written; answers under what it was counted.
    fn remove_whole(
        &self,
        id: RequestId,
    ) -> rusqlite::Result<Option<(FunctionName, InvocationState)>> {
        let Some(record) = waiting::whole(self.connection, id)?.flatten() else {
            return Ok(None);
        };
        self.connection
            .prepare_cached("DELETE FROM invocations WHERE id = ?1")?
            .execute([id.as_bytes()])?;
        Ok(Some((record.function, record.state)))
    }

    /// Removes identities whose window is over, up to about `limit`; says how many.
    pub(in crate::sqlite) fn purge_identities(
        &mut self,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, Failure> {
        Ok(identity::purge(self.connection, self.spans, now, limit)?)
    }
}
