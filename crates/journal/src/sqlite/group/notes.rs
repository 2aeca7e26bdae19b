//! Cursors, functions, triggers, and what retention removes.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use tripline_model::{CursorEntry, Execution, FunctionName, Timestamp, TriggerName};

use super::{Failure, Group};
use crate::JournalError;
use crate::sqlite::{identity, row};

impl Group<'_> {
    /// Writes and removes cursors.
    pub(in crate::sqlite) fn put_cursors(
        &mut self,
        trigger: &TriggerName,
        entries: &[CursorEntry],
    ) -> Result<(), Failure> {
        for CursorEntry { key, value } in entries {
            let via = trigger.as_str();
            match value {
                Some(value) => self
                    .connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO cursors (via, key, value) VALUES (?1, ?2, ?3)",
                    )?
                    .execute(params![via, row::blob(key), row::blob(value)])?,
                None => self
                    .connection
                    .prepare_cached("DELETE FROM cursors WHERE via = ?1 AND key = ?2")?
                    .execute(params![via, row::blob(key)])?,
            };
        }
        Ok(())
    }

    /// Makes these the functions that are known, unless one of them changed its mode.
    pub(in crate::sqlite) fn register(
        &mut self,
        present: &[(FunctionName, Execution)],
    ) -> Result<(), Failure> {
        let known = self.functions()?;
        for (function, wanted) in present {
            if let Some(locked) = known.get(function).filter(|locked| *locked != wanted) {
                return Err(Failure::Refused(JournalError::ExecutionLocked {
                    function: function.clone(),
                    locked: *locked,
                    wanted: *wanted,
                }));
            }
        }
        if known.len() == present.len() && present.iter().all(|(name, _)| known.contains_key(name))
        {
            return Ok(());
        }
        self.connection.execute("DELETE FROM functions", [])?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO functions (name, execution) VALUES (?1, ?2)")?;
        for (function, execution) in present {
            insert.execute([function.as_str(), execution.as_str()])?;
        }
        Ok(())
    }

    fn functions(&self) -> Result<BTreeMap<FunctionName, Execution>, Failure> {
        let mut select = self
            .connection
            .prepare_cached("SELECT name, execution FROM functions")?;
        let rows = select.query_map([], |found| {
            Ok((row::function(found, 0)?, found.get::<_, String>(1)?))
        })?;
        let mut known = BTreeMap::new();
        for function in rows {
            let (name, word) = function?;
            let execution = Execution::parse(&word).ok_or_else(|| {
                let what = format!("the journal has `{word}` as the execution of `{name}`");
                Failure::Refused(JournalError::Unavailable(what))
            })?;
            known.insert(name, execution);
        }
        Ok(known)
    }

    /// Notes since when a trigger that left notes is not there any more, unless it is.
    pub(in crate::sqlite) fn register_triggers(
        &mut self,
        present: &[TriggerName],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let mut gone = self.connection.prepare_cached(
            "INSERT OR IGNORE INTO meta (name, value) VALUES ('gone:' || ?1, ?2)",
        )?;
        for via in self.who_has_notes()? {
            if !present.iter().any(|trigger| trigger.as_str() == via) {
                gone.execute(params![via, now.as_millis()])?;
            }
        }
        let mut back = self
            .connection
            .prepare_cached("DELETE FROM meta WHERE name = 'gone:' || ?1")?;
        for trigger in present {
            back.execute([trigger.as_str()])?;
        }
        Ok(())
    }

    fn who_has_notes(&self) -> rusqlite::Result<Vec<String>> {
        // One seek each; DISTINCT would read whole inventories.
        let mut next = self.connection.prepare_cached(
            "SELECT min(via) FROM (SELECT min(via) AS via FROM cursors WHERE via > ?1
             UNION ALL SELECT min(via) FROM watermarks WHERE via > ?1)",
        )?;
        let (mut last, mut all) = (String::new(), Vec::new());
        while let Some(via) = next.query_row([&last], |found| found.get::<_, Option<String>>(0))? {
            all.push(via.clone());
            last = via;
        }
        Ok(all)
    }

    /// Removes about `limit` notes of triggers that were not there since before `before`; says how many.
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

    /// Removes some identities past their window; says how many.
    pub(in crate::sqlite) fn purge_identities(
        &mut self,
        now: Timestamp,
        limit: i64,
    ) -> Result<u64, Failure> {
        Ok(identity::purge(self.connection, self.spans, now, limit)?)
    }
}
