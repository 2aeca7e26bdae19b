//! Lists, newest first. Whatever the query, a page looks at a bounded number of records and takes a bounded amount of
//! memory. So it may end early, even without any invocation, and says where the next page begins. Records that are not
//! what was written are left out and named.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params};
use tripline_model::{
    FunctionName, Invocation, InvocationState, RequestId, Timestamp, TriggerName,
};

use super::row;
use super::waiting::{is_corrupt, readable};
use crate::{Page, Portion, Query};

#[cfg(test)]
mod tests;

/// What a page may cost.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// The most records that are looked at.
    walk: usize,
    /// The most bytes of invocations on it, by their weight.
    bytes: usize,
}

/// A page that is being filled.
struct Filling<'a> {
    query: &'a Query,
    most: Portion,
    walk: usize,
    walked: usize,
    bytes: u64,
    /// The last record that was looked at.
    last: Option<RequestId>,
    page: Page,
}

/// A range of ids, without the upper bound.
struct Range {
    since: [u8; 16],
    upper: [u8; 16],
}

// === impl Bounds ===

impl Bounds {
    /// Takes a few tens of milliseconds at most, if the pages are cached.
    const PAGE: Self = Self {
        walk: 20_000,
        bytes: Query::PAGE_BYTES,
    };
}

/// See [`crate::Journal::list`].
pub(super) fn list(connection: &Connection, query: &Query) -> rusqlite::Result<Page> {
    page(connection, query, Bounds::PAGE)
}

fn page(connection: &Connection, query: &Query, bounds: Bounds) -> rusqlite::Result<Page> {
    // All statements must see the same state. Otherwise what starts meanwhile could be missing, and the page look like
    // the last one.
    let snapshot = connection.unchecked_transaction()?;
    let page = page_of(&snapshot, query, bounds)?;
    snapshot.finish()?;
    Ok(page)
}

fn page_of(connection: &Connection, query: &Query, bounds: Bounds) -> rusqlite::Result<Page> {
    let mut filling = Filling::new(query, bounds);
    let range = Range::of(query);
    if query.state == Some(InvocationState::Accepted) && query.trigger.is_none() {
        let sql = format!("SELECT {} FROM invocations WHERE id = ?1", row::COLUMNS);
        let mut select = connection.prepare_cached(&sql)?;
        for id in waiting(connection, query, &range)? {
            let read = select.query_row([id.as_bytes()], row::invocation);
            let goes_on = match readable(read.optional())? {
                Some(None) => true,
                Some(Some(invocation)) => filling.add(id, Some(invocation)),
                None => filling.add(id, None),
            };
            if !goes_on {
                break;
            }
        }
        return Ok(filling.page);
    }
    let (way, value) = way(query);
    let sql = walk_sql(row::COLUMNS, &way);
    let mut values: Vec<(&str, &dyn ToSql)> =
        vec![(":since", &range.since), (":upper", &range.upper)];
    if let Some(value) = &value {
        values.push((":value", value));
    }
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(&values[..])?;
    loop {
        match rows.next() {
            Ok(Some(found)) if filling.look(found)? => {}
            Ok(_) => return Ok(filling.page),
            Err(error) if is_corrupt(&error) => break,
            Err(error) => return Err(error),
        }
    }
    // SQLite cannot read the next record, but its id. The next page begins behind it.
    let upper = filling.last.map_or(range.upper, |last| *last.as_bytes());
    values[1] = (":upper", &upper);
    let sql = walk_sql("id", &way);
    let id = connection.query_row(&sql, &values[..], |found| row::id(found, 0))?;
    filling.add(id, None);
    filling.end();
    Ok(filling.page)
}

/// The index that has the records in the order of their ids, and the value to look up in it. What runs and
/// what ended other than well is rare and has indexes of its own; records of other states are found near the newest ids.
fn way(query: &Query) -> (String, Option<&str>) {
    let code = query.state.map(row::state_code);
    let function = query.function.as_ref().map(FunctionName::as_str);
    let trigger = query.trigger.as_ref().map(TriggerName::as_str);
    match (code, function, trigger) {
        (Some(1), _, _) => ("INDEXED BY running WHERE state = 1".to_owned(), None),
        (Some(code @ 3..), _, _) => {
            let way = format!("INDEXED BY troubled WHERE state > 2 AND state = {code}");
            (way, None)
        }
        (_, function @ Some(_), _) => {
            let way = "INDEXED BY by_function WHERE function = :value";
            (way.to_owned(), function)
        }
        (_, None, trigger @ Some(_)) => (
            "INDEXED BY by_trigger WHERE via = :value".to_owned(),
            trigger,
        ),
        (_, None, None) => ("WHERE TRUE".to_owned(), None),
    }
}

fn walk_sql(columns: &str, way: &str) -> String {
    format!(
        "SELECT {columns} FROM invocations {way} AND id >= :since AND id < :upper ORDER BY id DESC"
    )
}

/// The newest waiting ids of one function. The time in an id is when it was accepted, so the index has them in order.
const SELECT_WAITING: &str = "SELECT id FROM invocations INDEXED BY waiting
    WHERE state = 0 AND function = :function AND accepted_at BETWEEN :from AND :to AND id >= :since AND id < :upper
    ORDER BY accepted_at DESC, id DESC LIMIT :wanted";

/// The newest waiting ids, one more than fits on a page.
fn waiting(
    connection: &Connection,
    query: &Query,
    range: &Range,
) -> rusqlite::Result<Vec<RequestId>> {
    let functions = match &query.function {
        Some(function) => vec![function.to_string()],
        None => connection
            .prepare_cached("SELECT function FROM counts WHERE state = 0 AND n > 0")?
            .query_map([], |found| found.get(0))?
            .collect::<rusqlite::Result<_>>()?,
    };
    let wanted = query.page_size() + 1;
    let at = |id: [u8; 16]| RequestId::from_bytes(id).timestamp().as_millis();
    let mut select = connection.prepare_cached(SELECT_WAITING)?;
    let mut ids = Vec::new();
    for function in functions {
        let values = named_params! {
            ":function": function, ":from": at(range.since), ":to": at(range.upper),
            ":since": range.since, ":upper": range.upper, ":wanted": row::number(wanted)
        };
        for id in select.query_map(values, |found| row::id(found, 0))? {
            ids.push(id?);
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.truncate(wanted);
    }
    Ok(ids)
}

// === impl Range ===

impl Range {
    fn of(query: &Query) -> Self {
        let floor = |at: Option<Timestamp>| at.map(|at| *RequestId::floor(at).as_bytes());
        let before = query.before.map(|id| *id.as_bytes());
        let upper = [before, floor(query.until)].into_iter().flatten().min();
        Self {
            since: floor(query.since).unwrap_or([0; 16]),
            // No id is larger: the bits of its version are never all ones.
            upper: upper.unwrap_or([0xff; 16]),
        }
    }
}

// === impl Filling ===

impl<'a> Filling<'a> {
    fn new(query: &'a Query, bounds: Bounds) -> Self {
        Self {
            query,
            most: Portion {
                count: query.page_size(),
                bytes: bounds.bytes,
            },
            walk: bounds.walk,
            walked: 0,
            bytes: 0,
            last: None,
            page: Page::default(),
        }
    }

    /// Looks at the next record; answers whether the page goes on after it.
    fn look(&mut self, found: &Row<'_>) -> rusqlite::Result<bool> {
        let id = row::id(found, 0)?;
        if self.walked == self.walk {
            return Ok(self.end());
        }
        self.walked += 1;
        // A value that no record has is damage, too.
        if self.wants(found).unwrap_or(true) {
            return Ok(self.add(id, row::invocation(found).ok()));
        }
        self.last = Some(id);
        Ok(true)
    }

    /// Adds a record, or its id if it is not what was written; answers whether the page goes on after it.
    fn add(&mut self, id: RequestId, record: Option<Invocation>) -> bool {
        self.bytes += record.as_ref().map_or(0, |one| one.weight() as u64);
        let count = self.page.invocations.len() + self.page.damaged.len();
        if !self.most.takes(count, self.bytes) {
            return self.end();
        }
        match record {
            Some(invocation) => self.page.invocations.push(invocation),
            None => self.page.damaged.push(id),
        }
        self.last = Some(id);
        true
    }

    fn end(&mut self) -> bool {
        self.page.next = self.last;
        false
    }

    fn wants(&self, found: &Row<'_>) -> rusqlite::Result<bool> {
        let query = self.query;
        if let Some(function) = &query.function
            && found.get_ref(1)?.as_str()? != function.as_str()
        {
            return Ok(false);
        }
        if let Some(trigger) = &query.trigger
            && found.get_ref(2)?.as_str_or_null()? != Some(trigger.as_str())
        {
            return Ok(false);
        }
        Ok(match query.state {
            Some(state) => found.get::<_, u8>(3)? == row::state_code(state),
            None => true,
        })
    }
}
