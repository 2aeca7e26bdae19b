//! The way in for the fuzz targets of `tests/fuzz`: what a record becomes, without a broker.

use tripline_model::{Event, Timestamp};

use crate::event::{self, to_event};

/// A record of the topic `orders`, partition 3, at offset 42.
#[derive(Debug, Default)]
pub struct Record<'m> {
    /// Milliseconds since 1970, as the producer says.
    pub timestamp: Option<i64>,
    /// Any bytes.
    pub key: Option<&'m [u8]>,
    /// Any bytes.
    pub value: Option<&'m [u8]>,
    /// In the producer's order.
    pub headers: Vec<(&'m str, Option<&'m [u8]>)>,
}

/// The event of a record that was read at `now`.
pub fn event(record: Record<'_>, now: Timestamp) -> Event {
    let record = event::Record {
        topic: "orders",
        partition: 3,
        offset: 42,
        timestamp: record.timestamp,
        stamped: "create",
        key: record.key,
        value: record.value,
        headers: record.headers,
        unreadable_headers: 0,
    };
    to_event(&record, "cluster", now)
}
