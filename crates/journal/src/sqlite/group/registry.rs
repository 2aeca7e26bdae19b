//! Which functions and triggers there are.

use std::collections::BTreeMap;

use rusqlite::params;
use tripline_model::{Execution, FunctionName, Timestamp, TriggerName};

use super::{Failure, Group};
use crate::JournalError;
use crate::sqlite::row;

impl Group<'_> {
    /// Replaces the known functions with these, unless one of them changed its mode.
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

    /// For each trigger that left cursors or watermarks and is not present, notes since when it is missing.
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
        // One seek for each trigger; DISTINCT would read all their cursors.
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
}
