//! The queries of readers.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Params, named_params, params, params_from_iter};
use tripline_model::{
    CursorEntry, FunctionName, Identity, Invocation, InvocationState, Offer, RequestId, Timestamp,
    TriggerName,
};

use super::identity::{self, Spans};
use super::row;
use super::schema::PAGE_BYTES;
use super::sum;
use super::waiting::{self, Damaged};
use crate::Accepted;

/// See [`crate::Journal::find_identity`].
pub(super) fn find_identity(
    connection: &Connection,
    spans: &Spans,
    offer: &Offer,
    now: Timestamp,
) -> rusqlite::Result<Option<Accepted>> {
    let trigger = offer.trigger.as_ref();
    match &offer.identity {
        Identity::Unique => Ok(None),
        Identity::Key { key, digest, .. } => {
            let wanted = (identity::hash(trigger, key), digest.as_ref());
            identity::find(connection, spans, wanted, now)
        }
        Identity::Position { stream, position } => {
            let via = trigger.map_or("", TriggerName::as_str);
            let mark = watermark(connection, via, stream)?;
            let past = mark.is_some_and(|mark| *position <= mark);
            Ok(past.then_some(Accepted::Past))
        }
    }
}

/// The watermark of a stream.
pub(super) fn watermark(
    connection: &Connection,
    via: &str,
    stream: &str,
) -> rusqlite::Result<Option<u64>> {
    let position = connection
        .prepare_cached("SELECT position FROM watermarks WHERE via = ?1 AND stream = ?2")?
        .query_row([via, stream], |found| found.get::<_, i64>(0))
        .optional()?;
    Ok(position.map(i64::cast_unsigned))
}

/// See [`crate::Journal::get`].
pub(super) fn get(
    connection: &Connection,
    id: RequestId,
) -> rusqlite::Result<Result<Option<Invocation>, Damaged>> {
    let sql = format!("SELECT {} FROM invocations WHERE id = ?1", row::COLUMNS);
    let mut select = connection.prepare_cached(&sql)?;
    let read = select.query_row([id.as_bytes()], |found| {
        let mut invocation = row::invocation(found)?;
        match &mut invocation.ending {
            Some(ending) => {
                ending.result = bytes(connection, SELECT_RESULT, [id.as_bytes()])?;
                if !sum::is_result(found, ending.result.as_deref())? {
                    return Err(sum::changed());
                }
            }
            // Data that is not what was accepted is left out instead of being an error: the caller may be about to give
            // the event up.
            None => invocation.event.data = waiting::data(connection, id)?.and_then(Result::ok),
        }
        Ok(invocation)
    });
    Ok(waiting::readable(read.optional())?.ok_or(Damaged::Record))
}

/// See [`crate::Journal::counts`].
pub(super) fn counts(
    connection: &Connection,
) -> rusqlite::Result<Vec<(FunctionName, InvocationState, u64)>> {
    let mut select = connection.prepare_cached(
        "SELECT function, state, n FROM counts WHERE n > 0 ORDER BY function, state",
    )?;
    let rows = select.query_map([], |found| {
        let n: i64 = found.get(2)?;
        Ok((
            row::function(found, 0)?,
            row::state(found, 1)?,
            n.unsigned_abs(),
        ))
    })?;
    rows.collect()
}

/// One cursor.
pub(super) fn cursor(
    connection: &Connection,
    trigger: &TriggerName,
    key: &[u8],
) -> rusqlite::Result<Option<Bytes>> {
    let sql = "SELECT value FROM cursors WHERE via = ?1 AND key = ?2";
    bytes(connection, sql, params![trigger.as_str(), key])
}

/// Cursors in the order of their keys.
pub(super) fn cursors(
    connection: &Connection,
    trigger: &TriggerName,
    after: Option<&[u8]>,
    limit: usize,
) -> rusqlite::Result<Vec<CursorEntry>> {
    // Without `after`, the empty key is found, too.
    let compare = if after.is_some() { ">" } else { ">=" };
    let sql = format!(
        "SELECT key, value FROM cursors WHERE via = :via AND key {compare} :after ORDER BY key LIMIT :limit"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let values = named_params! {
        ":via": trigger.as_str(), ":after": after.unwrap_or_default(), ":limit": row::number(limit)
    };
    let rows = select.query_map(values, |found| {
        Ok(CursorEntry {
            key: Bytes::from(found.get::<_, Vec<u8>>(0)?),
            value: Some(Bytes::from(found.get::<_, Vec<u8>>(1)?)),
        })
    })?;
    rows.collect()
}

/// See [`crate::Journal::oldest_with_log_to_keep`].
pub(super) fn oldest_with_log_to_keep(
    connection: &Connection,
    since: Timestamp,
) -> rusqlite::Result<Option<RequestId>> {
    let first = |sql: &str, values: &[i64]| {
        let mut select = connection.prepare_cached(sql)?;
        let found = select.query_row(params_from_iter(values), |found| row::id(found, 0));
        found.optional()
    };
    let running = first(
        "SELECT id FROM invocations INDEXED BY running WHERE state = 1 ORDER BY id LIMIT 1",
        &[],
    )?;
    let ended = first(SELECT_OLDEST_LONG_RUN, &[since.as_millis()])?;
    Ok(running.into_iter().chain(ended).min())
}

/// Bytes of the file that hold something.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).unsigned_abs())
}

/// About how many bytes a record takes beside its event's data and attributes.
const RECORD_BYTES: u64 = 512;

/// How SQLite stores a long entry of a table without rowids, in pages of 8 KiB: an entry of up to the first number of
/// bytes lies in the tree. Of a longer one at least the second number stays in the tree, and the rest goes to pages of
/// its own.
const ENTRY_BYTES_IN_TREE: (u64, u64) = (2030, 1003);
/// Bytes of an entry that fit into one of its own pages.
const ENTRY_BYTES_PER_PAGE: u64 = PAGE_BYTES - 4;

/// About how many bytes of the file waiting and running events take. What cannot be read counts as nothing: it must not
/// keep the journal from being kept within its bound.
pub(super) fn open_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    // `UNION ALL`, because each state has an index of its own.
    let mut select = connection.prepare_cached(
        "SELECT id FROM invocations WHERE state = 0
         UNION ALL SELECT id FROM invocations WHERE state = 1",
    )?;
    let mut rows = select.query([])?;
    let mut bytes = 0;
    while let Some(Some(found)) = waiting::readable(rows.next())? {
        let id = row::id(found, 0)?;
        // Not what the record says of it, which the disk may have changed.
        let data = length(connection, SELECT_DATA_LENGTH, id)?;
        let attributes = length(connection, SELECT_ATTRIBUTES_LENGTH, id)?;
        bytes += in_file(data) + in_file(attributes + RECORD_BYTES);
    }
    Ok(bytes)
}

/// Each reads no more than the head of its entry.
const SELECT_DATA_LENGTH: &str = "SELECT octet_length(data) FROM payloads WHERE id = ?1";
const SELECT_ATTRIBUTES_LENGTH: &str =
    "SELECT octet_length(extensions) FROM invocations WHERE id = ?1";

fn length(connection: &Connection, sql: &str, id: RequestId) -> rusqlite::Result<u64> {
    let mut select = connection.prepare_cached(sql)?;
    let read = select.query_row([id.as_bytes()], |found| found.get::<_, Option<i64>>(0));
    let length = waiting::readable(read.optional())?.flatten().flatten();
    Ok(length.map_or(0, i64::unsigned_abs))
}

/// Bytes of the file that an entry of this length takes. What does not fit into the tree gets whole pages.
fn in_file(length: u64) -> u64 {
    let (most, least) = ENTRY_BYTES_IN_TREE;
    let Some(beyond) = length.checked_sub(least).filter(|_| length > most) else {
        return length;
    };
    match beyond % ENTRY_BYTES_PER_PAGE {
        rest if rest + least <= most => least + rest + beyond / ENTRY_BYTES_PER_PAGE * PAGE_BYTES,
        _ => least + (beyond / ENTRY_BYTES_PER_PAGE + 1) * PAGE_BYTES,
    }
}

/// This walks over the long runs whose end was recorded before `?1`. There are few: their records are mostly removed by
/// then, for logs and records are kept equally long.
const SELECT_OLDEST_LONG_RUN: &str = "SELECT id FROM invocations INDEXED BY long
    WHERE ifnull(kept_from, ended_at) - started_at > 60000 AND ifnull(kept_from, ended_at) >= ?1
    ORDER BY id LIMIT 1";

const SELECT_RESULT: &str = "SELECT data FROM results WHERE id = ?1";

fn bytes(
    connection: &Connection,
    sql: &str,
    values: impl Params,
) -> rusqlite::Result<Option<Bytes>> {
    let mut select = connection.prepare_cached(sql)?;
    let found = select.query_row(values, |found| found.get::<_, Vec<u8>>(0));
    Ok(found.optional()?.map(Bytes::from))
}
