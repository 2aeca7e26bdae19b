//! Records become events: every byte of key, value and headers survives, whatever it is.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp as Stamp};
use tripline_model::{Event, Timestamp, contain_call};

use crate::cloudevent;

/// A record, free of the library that fetched it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record<'m> {
    /// The topic's name.
    pub(crate) topic: &'m str,
    /// The partition's number, from 0.
    pub(crate) partition: i32,
    /// Where it is in the partition, from 0.
    pub(crate) offset: i64,
    /// Milliseconds since 1970, by the clock `stamped` names; may be far off.
    pub(crate) timestamp: Option<i64>,
    /// `create`: the producer's clock; `append`: the broker's; `none`: there is no timestamp.
    pub(crate) stamped: &'static str,
    /// `None`: no key, which is not the same as an empty one.
    pub(crate) key: Option<&'m [u8]>,
    /// `None`: no value (a tombstone), which is not the same as an empty one.
    pub(crate) value: Option<&'m [u8]>,
    /// In the producer's order; names may repeat, a value may be missing.
    pub(crate) headers: Vec<(&'m str, Option<&'m [u8]>)>,
    /// Headers whose names are not UTF-8: the client library cannot hand them over.
    pub(crate) unreadable_headers: usize,
}

const KIND: &str = "tripline.kafka.record.v1";

/// Attributes that only the hub sets: what a sender says under these names is still in `kafkaheaders`, or in the value.
const OWN: [&str; 7] = [
    "kafkatopic",
    "kafkapartition",
    "kafkaoffset",
    "kafkatimestamptype",
    "kafkakey",
    "kafkaheaders",
    "kafkaheadersunread",
];

/// Attributes by which a function's event is known for an HTTP request. A record is none, even if what it holds was one.
const OF_REQUESTS: [&str; 4] = ["httpmethod", "httppath", "httpquery", "httpparams"];

/// The longest key that becomes a subject, in bytes.
const MAX_SUBJECT: usize = 512;

/// The event of a record; `now` is its time if it has none of its own, or one that RFC 3339 cannot express.
pub(crate) fn to_event(record: &Record<'_>, cluster: &str, now: Timestamp) -> Event {
    let own = record.timestamp.map(Timestamp::from_millis);
    let time = own.filter(|at| at.is_rfc3339()).unwrap_or(now);
    let mut event = cloudevent::passed_through(record, time).unwrap_or_else(|| Event {
        id: format!("{}/{}", record.partition, record.offset),
        source: format!("kafka://{cluster}/{}", record.topic),
        kind: KIND.to_owned(),
        subject: Some(subject(record)),
        time,
        content_type: header(record, "content-type").and_then(text),
        data: record.value.map(Bytes::copy_from_slice),
        extensions: BTreeMap::new(),
    });
    let words = |name| header(record, name).and_then(text);
    event.keep_trace(
        words("traceparent").as_deref(),
        words("tracestate").as_deref(),
    );
    add_coordinates(&mut event.extensions, record);
    event
}

/// The first value of a header, by its name in any case.
pub(crate) fn header<'m>(record: &Record<'m>, name: &str) -> Option<&'m [u8]> {
    let mut headers = record.headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.and_then(|(_, value)| *value)
}

/// Bytes as text, if they are UTF-8 and there are any.
pub(crate) fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn add_coordinates(extensions: &mut BTreeMap<String, String>, record: &Record<'_>) {
    let is_hubs = |name: &str| OWN.contains(&name) || OF_REQUESTS.contains(&name);
    extensions.retain(|name, _| !is_hubs(name));
    let mut add = |name: &str, value: String| extensions.insert(name.to_owned(), value);
    add("kafkatopic", record.topic.to_owned());
    add("kafkapartition", record.partition.to_string());
    add("kafkaoffset", record.offset.to_string());
    add("kafkatimestamptype", record.stamped.to_owned());
    if let Some(key) = record.key {
        add("kafkakey", STANDARD.encode(key));
    }
    if !record.headers.is_empty() {
        add("kafkaheaders", headers_as_json(record));
    }
    if record.unreadable_headers > 0 {
        add("kafkaheadersunread", record.unreadable_headers.to_string());
    }
}

/// `[["name","base64 of the value"],["name",null]]`, in order.
fn headers_as_json(record: &Record<'_>) -> String {
    let headers = record.headers.iter();
    let pairs: Vec<(&str, Option<String>)> = headers
        .map(|(name, value)| (*name, value.map(|bytes| STANDARD.encode(bytes))))
        .collect();
    serde_json::to_string(&pairs).expect("strings are always JSON")
}

fn subject(record: &Record<'_>) -> String {
    let key = record
        .key
        .filter(|key| (1..=MAX_SUBJECT).contains(&key.len()));
    let key = key.and_then(|key| std::str::from_utf8(key).ok());
    match key.filter(|key| key.chars().all(is_printable)) {
        Some(key) => key.to_owned(),
        None => format!("{}/{}", record.partition, record.offset),
    }
}

/// Whether a character shows as itself: neither a control nor one that turns the text around it.
fn is_printable(c: char) -> bool {
    let turning =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turning && c != '\u{feff}'
}

// === impl Record ===

impl<'m> Record<'m> {
    /// Reads what the client library fetched.
    pub(crate) fn of(message: &'m BorrowedMessage<'_>) -> Self {
        let (timestamp, stamped) = match message.timestamp() {
            Stamp::NotAvailable => (None, "none"),
            Stamp::CreateTime(at) => (Some(at), "create"),
            Stamp::LogAppendTime(at) => (Some(at), "append"),
        };
        let mut record = Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp,
            stamped,
            key: message.key(),
            value: message.payload(),
            headers: Vec::new(),
            unreadable_headers: 0,
        };
        if let Some(headers) = message.headers() {
            for at in 0..headers.count() {
                // rdkafka 0.39 panics on a name that is not UTF-8; producers are free to send one.
                match contain_call(|| headers.try_get(at)) {
                    Ok(Some(header)) => record.headers.push((header.key, header.value)),
                    Ok(None) => {}
                    Err(_) => record.unreadable_headers += 1,
                }
            }
        }
        record
    }
}

#[cfg(test)]
mod tests;
