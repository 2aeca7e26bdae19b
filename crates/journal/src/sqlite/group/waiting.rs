//! Ends what waits, also where the disk changed the record.

use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{OptionalExtension, params};
use tripline_model::{
    DAMAGED, End, Ending, Event, FunctionName, Identity, Offer, RequestId, Timestamp, TriggerName,
};

use super::{Failure, Group};
use crate::sqlite::waiting::{self, Damaged, Place, is_corrupt};
use crate::{JournalError, NewInvocation, Settled};

impl Group<'_> {
    /// See [`crate::Journal::cancel_damaged`].
    pub(in crate::sqlite) fn cancel_damaged(
        &mut self,
        function: &FunctionName,
        id: RequestId,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<Settled, Failure> {
        let Some(place) = waiting::place(self.connection, function, id)? else {
            return Ok(Settled::NotThere);
        };
        let whole = match waiting::record(self.connection, function, place)? {
            Some(Ok(invocation)) => waiting::with_data(self.connection, invocation)?,
            Some(Err(damaged)) => Err(damaged),
            None => return Ok(Settled::NotThere),
        };
        let damaged = match whole {
            Ok(invocation) => return Ok(Settled::Whole(Box::new(invocation))),
            Err(damaged) => damaged,
        };
        let ending = Ending::new(End::Cancelled, at, DAMAGED);
        self.finish_damaged((function, place), damaged, ending, now)?;
        Ok(Settled::Ended)
    }

    /// Ends up to `limit` of those that wait for a function and were accepted before a time; says which. A record that
    /// is damaged ends like the others, and its end says what else is known.
    pub(super) fn end_waiting(
        &mut self,
        (function, before): (&FunctionName, i64),
        ending: &Ending,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestId>, Failure> {
        let mut ended = Vec::new();
        for place in waiting::places(self.connection, function, before, limit)? {
            match waiting::record(self.connection, function, place)? {
                Some(Ok(_)) => self.finish(place.id, ending, now)?,
                Some(Err(damaged)) => {
                    self.finish_damaged((function, place), damaged, ending.clone(), now)?;
                }
                None => continue,
            }
            ended.push(place.id);
        }
        Ok(ended)
    }

    /// Ends what waits and is damaged. Where SQLite cannot even read it, SQLite does not commit the transaction; then
    /// only this call fails, and the hub need not stop for it.
    fn finish_damaged(
        &mut self,
        (function, place): (&FunctionName, Place),
        damaged: Damaged,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let blank = match damaged {
            Damaged::Record => self.blank(place, function),
            Damaged::Data => Ok(()),
        };
        let ending = ending.because(damaged.detail());
        let done = blank
            .map_err(Failure::Sql)
            .and_then(|()| self.finish(place.id, &ending, now));
        done.map_err(|failure| match failure {
            Failure::Sql(error) if is_corrupt(&error) => {
                Failure::Undo(JournalError::Damaged(place.id))
            }
            other => other,
        })
    }

    /// Puts a record that says only what the indexes know in the place of a damaged one, in the same state.
    fn blank(&self, place: Place, function: &FunctionName) -> rusqlite::Result<()> {
        let at = Timestamp::from_millis(place.accepted_at);
        let blank = NewInvocation {
            request_id: place.id,
            accepted_at: at,
            offer: Arc::new(Offer {
                function: function.clone(),
                trigger: self.trigger_in_index(place.id)?,
                event: Event::unknown(at),
                identity: Identity::Unique,
                cursors: Vec::new(),
            }),
        };
        // SQLite looks in the indexes for what the record says now, does not find it, and refuses to remove the record,
        // unless it is told not to mind. What the indexes do have is what `insert` writes there again.
        let lenient = DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA;
        self.connection.set_db_config(lenient, true)?;
        let removed = self.connection.execute(
            "DELETE FROM invocations WHERE id = ?1",
            [place.id.as_bytes()],
        );
        self.connection.set_db_config(lenient, false)?;
        removed?;
        self.insert(&blank)
    }

    /// The trigger under which an invocation is found.
    fn trigger_in_index(&self, id: RequestId) -> rusqlite::Result<Option<TriggerName>> {
        // Walks over the whole index: rare enough, and the entry would otherwise stay behind.
        let mut select = self.connection.prepare_cached(
            "SELECT via FROM invocations INDEXED BY by_trigger WHERE via IS NOT NULL AND id = ?1",
        )?;
        let via = select.query_row(params![id.as_bytes()], |found| found.get::<_, String>(0));
        Ok(via.optional()?.and_then(|via| TriggerName::new(&via).ok()))
    }
}
