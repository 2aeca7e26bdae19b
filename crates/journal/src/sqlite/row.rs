//! Invocations as rows. The numbers and names here are on disks, so their meaning never changes.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Row, ToSql};
use tripline_model::{
    End, Ending, Event, FunctionName, Invocation, InvocationState, RequestId, Timestamp,
    TriggerName,
};

use super::sum;

/// The columns that [`invocation`] reads, in this order.
pub(super) const COLUMNS: &str = "id, function, via, state, accepted_at, started_at, ended_at, reason, detail,
    exit_code, signal, result_cut, event_id, source, kind, subject, time, content_type, extensions, data_len,
    duration_ms, peak_memory_bytes, memory_limit_bytes, accepted_crc, ended_crc, result_crc";

/// The number of a state.
pub(super) fn state_code(state: InvocationState) -> u8 {
    match state {
        InvocationState::Accepted => 0,
        InvocationState::Running => 1,
        InvocationState::Ended(End::Succeeded) => 2,
        InvocationState::Ended(End::Failed) => 3,
        InvocationState::Ended(End::TimedOut) => 4,
        InvocationState::Ended(End::Terminated) => 5,
        InvocationState::Ended(End::Lost) => 6,
        InvocationState::Ended(End::Expired) => 7,
        InvocationState::Ended(End::Cancelled) => 8,
    }
}

/// The state that a column holds.
pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<InvocationState> {
    let code: u8 = row.get(column)?;
    InvocationState::ALL
        .into_iter()
        .find(|state| state_code(*state) == code)
        .ok_or_else(|| damaged(column, format!("{code} is no state")))
}

/// The function that a column names.
pub(super) fn function(row: &Row<'_>, column: usize) -> rusqlite::Result<FunctionName> {
    let name: String = row.get(column)?;
    FunctionName::new(&name).map_err(|error| damaged(column, error))
}

/// The id in a column.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<RequestId> {
    row.get(column).map(RequestId::from_bytes)
}

/// The invocation in a row of [`COLUMNS`], without data and result, if it is what was written.
pub(super) fn invocation(row: &Row<'_>) -> rusqlite::Result<Invocation> {
    let state = state(row, 3)?;
    sum::verify(row, state)?;
    let trigger = row.get::<_, Option<String>>(2)?;
    let trigger = trigger.map(|name| TriggerName::new(&name));
    let extensions = row.get::<_, Option<String>>(18)?;
    Ok(Invocation {
        request_id: id(row, 0)?,
        function: function(row, 1)?,
        trigger: trigger.transpose().map_err(|error| damaged(2, error))?,
        state,
        accepted_at: Timestamp::from_millis(row.get(4)?),
        started_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
        ending: match state {
            InvocationState::Ended(end) => Some(ending(row, end)?),
            InvocationState::Accepted | InvocationState::Running => None,
        },
        event: Event {
            id: row.get(12)?,
            source: row.get(13)?,
            kind: row.get(14)?,
            subject: row.get(15)?,
            time: Timestamp::from_millis(row.get(16)?),
            content_type: row.get(17)?,
            data: None,
            extensions: match extensions {
                Some(text) => serde_json::from_str(&text).map_err(|e| damaged(18, e))?,
                None => BTreeMap::new(),
            },
        },
        data_len: row.get::<_, i64>(19)?.unsigned_abs(),
    })
}

/// Extension attributes as they are stored.
pub(super) fn extensions(of: &BTreeMap<String, String>) -> Option<String> {
    let text = || serde_json::to_string(of).expect("a map of strings is JSON");
    (!of.is_empty()).then(text)
}

/// A count as a parameter.
pub(super) fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// An amount as a parameter.
pub(super) fn amount(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// Bytes as a parameter.
pub(super) fn blob(bytes: &Bytes) -> impl ToSql + '_ {
    bytes.as_ref()
}

fn ending(row: &Row<'_>, end: End) -> rusqlite::Result<Ending> {
    Ok(Ending {
        end,
        at: Timestamp::from_millis(row.get(6)?),
        reason: row.get(7)?,
        detail: row.get(8)?,
        exit_code: row.get(9)?,
        signal: row.get(10)?,
        duration_ms: row.get::<_, Option<i64>>(20)?.map(i64::unsigned_abs),
        peak_memory_bytes: row.get::<_, Option<i64>>(21)?.map(i64::unsigned_abs),
        memory_limit_bytes: row.get::<_, Option<i64>>(22)?.map(i64::unsigned_abs),
        result: None,
        result_cut: row.get(11)?,
    })
}

fn damaged(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
