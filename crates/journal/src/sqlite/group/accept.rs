//! Accepting: identity check, record, identity or watermark, cursors.

use std::collections::hash_map::Entry;

use rusqlite::{ErrorCode, params};
use tripline_model::{Identity, InvocationState, Offer, RequestId, TriggerName};

use super::{Failure, Group, Mark};
use crate::sqlite::{identity, read, row, sum};
use crate::{Accepted, JournalError, NewInvocation};

impl Group<'_> {
    /// Accepts a batch, in its order.
    pub(in crate::sqlite) fn accept(
        &mut self,
        batch: &[NewInvocation],
    ) -> Result<Vec<Accepted>, Failure> {
        batch.iter().map(|new| self.accept_one(new)).collect()
    }

    fn accept_one(&mut self, new: &NewInvocation) -> Result<Accepted, Failure> {
        let known = self.find(new)?;
        if known == Some(Accepted::KeyReused) {
            return Ok(Accepted::KeyReused);
        }
        if let Some(trigger) = &new.offer.trigger {
            self.put_cursors(trigger, &new.offer.cursors)?;
        }
        if let Some(known) = known {
            return Ok(known);
        }
        self.insert(new)
            .map_err(|error| used(error, new.request_id))?;
        self.remember(new)?;
        self.count(&new.offer.function, InvocationState::Accepted, 1);
        Ok(Accepted::New(new.request_id))
    }

    fn find(&mut self, new: &NewInvocation) -> rusqlite::Result<Option<Accepted>> {
        match &new.offer.identity {
            Identity::Unique => Ok(None),
            Identity::Key { key, digest, .. } => {
                let hash = identity::hash(new.offer.trigger.as_ref(), key);
                let wanted = (hash, digest.as_ref());
                identity::find(self.connection, self.spans, wanted, new.accepted_at)
            }
            Identity::Position { stream, position } => {
                let mark = self.mark(&new.offer, stream)?.position;
                let past = mark.is_some_and(|mark| *position <= mark);
                Ok(past.then_some(Accepted::Past))
            }
        }
    }

    fn remember(&mut self, new: &NewInvocation) -> rusqlite::Result<()> {
        match &new.offer.identity {
            Identity::Unique => Ok(()),
            Identity::Key {
                key,
                window,
                digest,
            } => {
                let remembered = identity::Remembered {
                    hash: identity::hash(new.offer.trigger.as_ref(), key),
                    id: new.request_id,
                    digest: digest.as_ref(),
                    accepted_at: new.accepted_at,
                    window: *window,
                };
                identity::insert(self.connection, self.spans, &remembered)
            }
            Identity::Position { stream, position } => {
                *self.mark(&new.offer, stream)? = Mark {
                    position: Some(*position),
                    changed: true,
                };
                Ok(())
            }
        }
    }

    fn mark(&mut self, offer: &Offer, stream: &str) -> rusqlite::Result<&mut Mark> {
        let via = offer.trigger.as_ref().map_or("", TriggerName::as_str);
        match self.watermarks.entry((via.to_owned(), stream.to_owned())) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(Mark {
                position: read::watermark(self.connection, via, stream)?,
                changed: false,
            })),
        }
    }

    pub(super) fn insert(&self, new: &NewInvocation) -> rusqlite::Result<()> {
        let (offer, event) = (&new.offer, &new.offer.event);
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO invocations (id, function, via, state, accepted_at, event_id, source, kind,
             subject, time, content_type, extensions, data_len, accepted_crc)
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        let extensions = row::extensions(&event.extensions);
        insert.execute(params![
            new.request_id.as_bytes(),
            offer.function.as_str(),
            offer.trigger.as_ref().map(TriggerName::as_str),
            new.accepted_at.as_millis(),
            event.id,
            event.source,
            event.kind,
            event.subject,
            event.time.as_millis(),
            event.content_type,
            extensions,
            row::number(event.data_len()),
            sum::accepted(new, extensions.as_deref()),
        ])?;
        if let Some(data) = &event.data {
            self.connection
                .prepare_cached("INSERT INTO payloads (id, data, crc) VALUES (?1, ?2, ?3)")?
                .execute(params![
                    new.request_id.as_bytes(),
                    row::blob(data),
                    crc32fast::hash(data)
                ])?;
        }
        Ok(())
    }
}

fn used(error: rusqlite::Error, id: RequestId) -> Failure {
    if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
        Failure::Undo(JournalError::Duplicate(id))
    } else {
        Failure::Sql(error)
    }
}
