//! Checksums of records, so that a record which the disk changed is not taken for true. A record has two: one over what
//! its acceptance wrote, which never changes, and one over what its end wrote. Both are computed from values at hand,
//! without a read.

use crc32fast::Hasher;
use rusqlite::types::ValueRef;
use rusqlite::{Row, ffi};
use tripline_model::{Ending, InvocationState, RequestId, Timestamp, TriggerName};

use super::row;
use crate::NewInvocation;

/// The columns of [`row::COLUMNS`] that go into each checksum after the id, in this order. Checksums are on disks, so
/// this never changes.
const ACCEPTED_COLUMNS: [usize; 11] = [1, 2, 4, 12, 13, 14, 15, 16, 17, 18, 19];
const ENDED_COLUMNS: [usize; 12] = [3, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22, RESULT_CRC];

/// The column that tells whether a record was started, and those of the checksums.
const STARTED_AT: usize = 5;
const ACCEPTED_CRC: usize = 23;
const ENDED_CRC: usize = 24;
const RESULT_CRC: usize = 25;

/// A CRC-32 over values. Each value comes after its kind and length, so that no two lists of values have the same bytes.
struct Sum(Hasher);

/// The checksum of what the acceptance writes; `extensions` as they are stored.
pub(super) fn accepted(new: &NewInvocation, extensions: Option<&str>) -> u32 {
    let (offer, event) = (&new.offer, &new.offer.event);
    let mut sum = Sum::of(new.request_id);
    sum.text(Some(offer.function.as_str()));
    sum.text(offer.trigger.as_ref().map(TriggerName::as_str));
    sum.number(Some(new.accepted_at.as_millis()));
    for text in [&event.id, &event.source, &event.kind] {
        sum.text(Some(text));
    }
    sum.text(event.subject.as_deref());
    sum.number(Some(event.time.as_millis()));
    sum.text(event.content_type.as_deref());
    sum.text(extensions);
    sum.number(Some(row::number(event.data_len())));
    sum.0.finalize()
}

/// The checksum of what the end writes, including the time of the start; `cut` and `result` say, as stored, whether the
/// result was cut, and the CRC-32 of what is left of it.
pub(super) fn ended(
    id: RequestId,
    started: Option<Timestamp>,
    ending: &Ending,
    (cut, result): (bool, Option<u32>),
) -> u32 {
    let state = row::state_code(InvocationState::Ended(ending.end));
    let mut sum = Sum::of(id);
    sum.number(Some(state.into()));
    sum.number(started.map(Timestamp::as_millis));
    sum.number(Some(ending.at.as_millis()));
    sum.text(Some(&ending.reason));
    sum.text(ending.detail.as_deref());
    sum.number(ending.exit_code.map(i64::from));
    sum.number(ending.signal.map(i64::from));
    sum.number(Some(cut.into()));
    for amount in [
        ending.duration_ms,
        ending.peak_memory_bytes,
        ending.memory_limit_bytes,
    ] {
        sum.number(amount.map(row::amount));
    }
    sum.number(result.map(i64::from));
    sum.0.finalize()
}

/// Whether the result of a run matches the CRC-32 in its record, a row of [`row::COLUMNS`].
pub(super) fn is_result(row: &Row<'_>, data: Option<&[u8]>) -> rusqlite::Result<bool> {
    let ended: Option<u32> = row.get(ENDED_CRC)?;
    let result: Option<u32> = row.get(RESULT_CRC)?;
    Ok(ended.is_none() || result == data.map(crc32fast::hash))
}

/// An error if a record, a row of [`row::COLUMNS`] in this state, is not what was written. Records from before version 5
/// have no checksums.
pub(super) fn verify(row: &Row<'_>, state: InvocationState) -> rusqlite::Result<()> {
    let accepted: Option<u32> = row.get(ACCEPTED_CRC)?;
    let ended: Option<u32> = row.get(ENDED_CRC)?;
    let is_started = row.get_ref(STARTED_AT)? != ValueRef::Null;
    let fits = match state {
        InvocationState::Accepted => ended.is_none() && !is_started,
        InvocationState::Running => ended.is_none() && is_started,
        InvocationState::Ended(_) => ended.is_some() || accepted.is_none(),
    };
    if fits && is_sum(row, accepted, &ACCEPTED_COLUMNS)? && is_sum(row, ended, &ENDED_COLUMNS)? {
        return Ok(());
    }
    Err(changed())
}

/// The error for what is not what was written, as SQLite has it for what it cannot read.
pub(super) fn changed() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None)
}

fn is_sum(row: &Row<'_>, noted: Option<u32>, columns: &[usize]) -> rusqlite::Result<bool> {
    let Some(noted) = noted else { return Ok(true) };
    let mut sum = Sum(Hasher::new());
    sum.value(row.get_ref(0)?);
    for column in columns {
        sum.value(row.get_ref(*column)?);
    }
    Ok(sum.0.finalize() == noted)
}

// === impl Sum ===

impl Sum {
    fn of(id: RequestId) -> Self {
        let mut sum = Self(Hasher::new());
        sum.value(ValueRef::Blob(id.as_bytes()));
        sum
    }

    fn number(&mut self, number: Option<i64>) {
        self.value(number.map_or(ValueRef::Null, ValueRef::Integer));
    }

    fn text(&mut self, text: Option<&str>) {
        self.value(text.map_or(ValueRef::Null, ValueRef::from));
    }

    fn value(&mut self, value: ValueRef<'_>) {
        let (kind, number, bytes) = match value {
            ValueRef::Null => (0, 0, &[][..]),
            ValueRef::Integer(number) => (1, number.cast_unsigned(), &[][..]),
            ValueRef::Real(number) => (2, number.to_bits(), &[][..]),
            ValueRef::Text(bytes) => (3, bytes.len() as u64, bytes),
            ValueRef::Blob(bytes) => (4, bytes.len() as u64, bytes),
        };
        let mut head = [kind; 9];
        head[1..].copy_from_slice(&number.to_le_bytes());
        self.0.update(&head);
        self.0.update(bytes);
    }
}
