//! Ends what waits, also where the disk changed the record.

use std::collections::HashSet;
use std::sync::Arc;

use tripline_model::{
    DAMAGED, End, Ending, Event, FunctionName, Identity, Offer, RequestId, Timestamp, TriggerName,
};

use super::{Failure, Group};
use crate::sqlite::waiting::{self, Damaged, Place};
use crate::{NewInvocation, Settled};

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

    /// Ends up to `limit` of those that wait for a function and were accepted before a time, except those of `except`;
    /// says which. A record that is damaged ends like the others, and its end says what else is known. `Damaged` if SQLite
    /// cannot read one.
    pub(super) fn end_waiting(
        &mut self,
        which: (&FunctionName, i64),
        ending: &Ending,
        now: Timestamp,
        (except, limit): (&HashSet<RequestId>, usize),
    ) -> Result<Vec<RequestId>, Failure> {
        let (function, _) = which;
        let mut ended = Vec::new();
        for (place, damaged) in waiting::places(self.connection, which, except, limit)? {
            match damaged {
                None => self.finish(place.id, ending, now)?,
                Some(damaged) => {
                    self.finish_damaged((function, place), damaged, ending.clone(), now)?;
                }
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
        let mended = match damaged {
            Damaged::Record => self.blank(place, function),
            Damaged::Place => self.put_in_place(function, place),
            Damaged::Data => Ok(()),
        };
        let ending = ending.because(damaged.detail());
        let done = mended
            .map_err(Failure::Sql)
            .and_then(|()| self.finish(place.id, &ending, now));
        done.map_err(|failure| failure.of(place.id))
    }

    /// Puts a record that says only what the indexes know in the place of a damaged one, in the same state.
    fn blank(&self, place: Place, function: &FunctionName) -> rusqlite::Result<()> {
        let at = Timestamp::from_millis(place.accepted_at);
        let trigger = self.trigger_in_index(place.id)?;
        let blank = NewInvocation {
            request_id: place.id,
            accepted_at: at,
            offer: Arc::new(Offer {
                function: function.clone(),
                trigger: trigger.and_then(|name| TriggerName::new(&name).ok()),
                event: Event::unknown(at),
                identity: Identity::Unique,
                cursors: Vec::new(),
            }),
        };
        // What the indexes have is what `insert` writes there again.
        self.remove_leniently(place.id)?;
        self.insert(&blank)
    }
}
