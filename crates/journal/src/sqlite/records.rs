//! Reads every record of a journal that no hub uses, and reports what is wrong.

use std::path::Path;

use tripline_model::{DAMAGED, InvocationState, RequestId};

use super::{original, row, schema, sum, waiting};
use crate::OpenError;
use crate::inspect::integrity;

/// The most ids that are named in one list; the others are only counted.
const MAX_NAMED: usize = 20;

/// What a journal holds.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Invocations by state.
    pub(crate) states: Vec<(&'static str, u64)>,
    /// Whether it was copied from another place.
    pub(crate) is_copy: bool,
    /// Waiting events that were damaged, and that a hub has ended since.
    pub(crate) given_up: Option<String>,
    /// What is wrong, and what is lost by it.
    pub(crate) wrong: Vec<(String, String)>,
}

/// Reads the journal at `path` without changing it.
pub(crate) fn records(path: &Path) -> Result<Records, OpenError> {
    let connection = schema::open_onlooker(path)?;
    let failed = schema::unusable(path);
    let mut records = Records::default();
    for line in integrity(&connection).map_err(&failed)? {
        records
            .wrong
            .push((line, "records, or the way to them".to_owned()));
    }
    if records.wrong.is_empty() {
        schema::seem_migrated(&connection).map_err(&failed)?;
        records.read(&connection).map_err(&failed)?;
        records.is_copy = original::is_copy(&connection, path).map_err(&failed)?;
    }
    Ok(records)
}

// === impl Records ===

impl Records {
    fn read(&mut self, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT {}, (SELECT data FROM payloads WHERE payloads.id = invocations.id) AS held,
             (SELECT crc FROM payloads WHERE payloads.id = invocations.id) AS crc,
             (SELECT data FROM results WHERE results.id = invocations.id) AS result FROM invocations",
            row::COLUMNS
        );
        let mut select = connection.prepare(&sql)?;
        let mut rows = select.query([])?;
        let mut counts = InvocationState::ALL.map(|state| (state, 0));
        let mut unread = Vec::new();
        let (mut changed, mut results, mut given_up) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(found) = rows.next()? {
            let Ok(invocation) = row::invocation(found) else {
                unread.push(row::id(found, 0).ok());
                continue;
            };
            let count = counts
                .iter_mut()
                .find(|(state, _)| *state == invocation.state);
            count.into_iter().for_each(|(_, count)| *count += 1);
            // An event's data is kept until its end, and its result from then on.
            if let Some(ending) = &invocation.ending {
                if ending.reason == DAMAGED || invocation.event.is_unknown() {
                    given_up.push(invocation.request_id);
                }
                let result = found.get_ref("result")?.as_blob_or_null()?;
                if !sum::is_result(found, result)? {
                    results.push(invocation.request_id);
                }
            } else {
                let held = found
                    .get_ref("held")?
                    .as_blob_or_null()?
                    .unwrap_or_default();
                let whole = held.len() as u64 == invocation.data_len;
                if !whole || !waiting::is_as_accepted(held, found.get("crc")?) {
                    changed.push(invocation.request_id);
                }
            }
        }
        self.states = counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| (state.as_str(), count))
            .collect();
        self.given_up = (!given_up.is_empty()).then(|| named(&given_up));
        if !unread.is_empty() {
            let what = format!("{} records are not what was written", unread.len());
            let known: Vec<_> = unread.into_iter().flatten().collect();
            let lost = format!("what became of these invocations: {}", named(&known));
            self.wrong.push((what, lost));
        }
        if !changed.is_empty() {
            let what = format!(
                "the data of {} events is not what was accepted",
                changed.len()
            );
            self.wrong.push((what, named(&changed)));
        }
        if !results.is_empty() {
            let what = format!("{} results are not what was written", results.len());
            self.wrong.push((what, named(&results)));
        }
        Ok(())
    }
}

fn named(ids: &[RequestId]) -> String {
    let names: Vec<String> = ids
        .iter()
        .take(MAX_NAMED)
        .map(RequestId::to_string)
        .collect();
    match ids.len().saturating_sub(MAX_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} others", names.join(", ")),
    }
}
