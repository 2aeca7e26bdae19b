//! What waits for its start. The index of what waits says which queue a record is in, and since when. All else is in the
//! record, which is read by a statement of its own: one that the disk changed does not keep SQLite from reading the next.

use std::collections::HashSet;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use tripline_model::{FunctionName, Invocation, InvocationState, RequestId};

use super::row;
use crate::{Portion, Queued};

/// The places of a function's queue, the oldest first, of what was accepted before a time.
const SELECT_PLACES: &str = "SELECT id, accepted_at FROM invocations INDEXED BY waiting
    WHERE state = 0 AND function = ?1 AND accepted_at < ?2 ORDER BY accepted_at, id";

/// A place in a queue, as the index has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) id: RequestId,
    pub(super) accepted_at: i64,
}

/// What is not what was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damaged {
    Record,
    /// The record is whole, but stands elsewhere in the queues.
    Place,
    Data,
}

/// See [`crate::Journal::queued`].
pub(super) fn queued(
    connection: &Connection,
    function: &FunctionName,
    except: &HashSet<RequestId>,
    most: Portion,
) -> rusqlite::Result<Queued> {
    let mut select = connection.prepare_cached(SELECT_PLACES)?;
    let mut rows = select.query(params![function.as_str(), i64::MAX])?;
    let (mut queued, mut bytes) = (Queued::default(), 0);
    while let Some(found) = rows.next()? {
        let place = Place::read(found)?;
        if except.contains(&place.id) {
            continue;
        }
        let Some(record) = record(connection, function, place)? else {
            continue;
        };
        if let Ok(invocation) = &record {
            bytes += invocation.event.weight() as u64 + invocation.data_len;
        }
        if !most.takes(queued.invocations.len() + queued.damaged.len(), bytes) {
            break;
        }
        let whole = match record {
            Ok(invocation) => with_data(connection, invocation)?,
            Err(damaged) => Err(damaged),
        };
        match whole {
            Ok(invocation) => queued.invocations.push(invocation),
            Err(_) => queued.damaged.push(place.id),
        }
    }
    Ok(queued)
}

/// Up to `limit` places of a function's queue, the oldest first, of what was accepted before a time and is not among
/// `except`, each with what is damaged there. Those without a record are left out.
pub(super) fn places(
    connection: &Connection,
    (function, before): (&FunctionName, i64),
    except: &HashSet<RequestId>,
    limit: usize,
) -> rusqlite::Result<Vec<(Place, Option<Damaged>)>> {
    let mut select = connection.prepare_cached(SELECT_PLACES)?;
    let mut rows = select.query(params![function.as_str(), before])?;
    let mut places = Vec::new();
    while places.len() < limit
        && let Some(found) = rows.next()?
    {
        let place = Place::read(found)?;
        if except.contains(&place.id) {
            continue;
        }
        if let Some(record) = record(connection, function, place)? {
            places.push((place, record.err()));
        }
    }
    Ok(places)
}

/// The place of one invocation in a function's queue, if it waits there.
pub(super) fn place(
    connection: &Connection,
    function: &FunctionName,
    id: RequestId,
) -> rusqlite::Result<Option<Place>> {
    let mut select = connection.prepare_cached(
        "SELECT id, accepted_at FROM invocations INDEXED BY waiting
         WHERE state = 0 AND function = ?1 AND id = ?2",
    )?;
    let values = params![function.as_str(), id.as_bytes()];
    select.query_row(values, Place::read).optional()
}

/// The record of what waits at a place, without its data; `None` if there is none.
pub(super) fn record(
    connection: &Connection,
    function: &FunctionName,
    place: Place,
) -> rusqlite::Result<Option<Result<Invocation, Damaged>>> {
    Ok(match whole(connection, place.id)? {
        // What is whole and in another state does not wait: the entry is of no record.
        Some(record) => record
            .filter(|invocation| invocation.state == InvocationState::Accepted)
            .map(|invocation| {
                // What the index has of it is not part of what was compared with the checksum.
                let fits = invocation.function == *function
                    && invocation.accepted_at.as_millis() == place.accepted_at;
                fits.then_some(invocation).ok_or(Damaged::Place)
            }),
        None => Some(Err(Damaged::Record)),
    })
}

/// The record of this id, without its data, if there is one; the outer `None` if it is not what was written.
pub(super) fn whole(
    connection: &Connection,
    id: RequestId,
) -> rusqlite::Result<Option<Option<Invocation>>> {
    let sql = format!("SELECT {} FROM invocations WHERE id = ?1", row::COLUMNS);
    let mut select = connection.prepare_cached(&sql)?;
    readable(
        select
            .query_row([id.as_bytes()], row::invocation)
            .optional(),
    )
}

/// A waiting invocation with its data, if that is what was accepted.
pub(super) fn with_data(
    connection: &Connection,
    mut invocation: Invocation,
) -> rusqlite::Result<Result<Invocation, Damaged>> {
    invocation.event.data = match data(connection, invocation.request_id)? {
        None if invocation.data_len == 0 => None,
        Some(Ok(data)) => Some(data),
        // Changed, or gone.
        Some(Err(damaged)) => return Ok(Err(damaged)),
        None => return Ok(Err(Damaged::Data)),
    };
    Ok(Ok(invocation))
}

/// The data of an event, as long as it is kept.
pub(super) fn data(
    connection: &Connection,
    id: RequestId,
) -> rusqlite::Result<Option<Result<Bytes, Damaged>>> {
    let mut select = connection.prepare_cached("SELECT data, crc FROM payloads WHERE id = ?1")?;
    let read = select.query_row([id.as_bytes()], |found| {
        let (data, crc): (Vec<u8>, _) = (found.get(0)?, found.get(1)?);
        Ok(is_as_accepted(&data, crc).then(|| Bytes::from(data)))
    });
    Ok(match readable(read.optional())? {
        Some(found) => found.map(|data| data.ok_or(Damaged::Data)),
        None => Some(Err(Damaged::Data)),
    })
}

/// Whether data matches its CRC-32. Records from before version 4 have none.
pub(super) fn is_as_accepted(data: &[u8], crc: Option<u32>) -> bool {
    crc.is_none_or(|crc| crc == crc32fast::hash(data))
}

/// Whether SQLite could not read what is on the disk.
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// What was read; `None` if SQLite, or we, cannot read what is on the disk.
pub(super) fn readable<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.sqlite_error().is_none() || is_corrupt(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

// === impl Place ===

impl Place {
    fn read(found: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row::id(found, 0)?,
            accepted_at: found.get(1)?,
        })
    }
}

// === impl Damaged ===

impl Damaged {
    /// A sentence for people.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::Record => {
                "its record was changed on the disk while it waited, so nobody knows what the event was; it was not run"
            }
            Self::Place => {
                "its place in the queue was changed on the disk while it waited; the event is as it was accepted; it was not run"
            }
            Self::Data => {
                "the event's data was changed on the disk while it waited; it was not run"
            }
        }
    }
}
