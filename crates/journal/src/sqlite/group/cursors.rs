//! Cursors: where triggers note how far they are.

use rusqlite::params;
use tripline_model::{CursorEntry, TriggerName};

use super::{Failure, Group};
use crate::sqlite::row;

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
}
