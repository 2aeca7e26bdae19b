//! What retention removes.

use rusqlite::{OptionalExtension, params};
use tripline_model::Timestamp;

use super::{Failure, Group};
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

    /// Removes up to `limit` records whose end was recorded before `before`, the oldest first; says how many.
    pub(in crate::sqlite) fn purge_ended(
        &mut self,
        before: Timestamp,
        limit: u64,
    ) -> Result<u64, Failure> {
        let mut select = self.connection.prepare_cached(
            "SELECT id, function, state FROM invocations INDEXED BY ended
             WHERE ended_at IS NOT NULL AND ifnull(kept_from, ended_at) < ?1
             ORDER BY ifnull(kept_from, ended_at), id LIMIT ?2",
        )?;
        let rows = select.query_map(params![before.as_millis(), limit.cast_signed()], |found| {
            Ok((
                row::id(found, 0)?,
                row::function(found, 1)?,
                row::state(found, 2)?,
            ))
        })?;
        let ended = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut records = self
            .connection
            .prepare_cached("DELETE FROM invocations WHERE id = ?1")?;
        let mut results = self
            .connection
            .prepare_cached("DELETE FROM results WHERE id = ?1")?;
        for (id, function, state) in &ended {
            records.execute([id.as_bytes()])?;
            results.execute([id.as_bytes()])?;
            self.count(function, *state, -1);
        }
        Ok(ended.len() as u64)
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
