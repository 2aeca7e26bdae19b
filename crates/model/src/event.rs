//! One thing that happened.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{TRACEPARENT, Timestamp, TraceParent};

/// Bytes that the smallest event takes in memory, near enough.
const OVERHEAD: usize = 256;

/// One thing that happened, whichever trigger or API it came from: CloudEvents 1.0 attributes and the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// CloudEvents `id`: unique per `source`, for people and functions. Not the key for deduplication.
    pub id: String,
    /// CloudEvents `source`: a URI reference that says where it happened.
    pub source: String,
    /// CloudEvents `type`, such as `tripline.kafka.record.v1`.
    pub kind: String,
    /// CloudEvents `subject`: what it happened to, such as an object's key.
    pub subject: Option<String>,
    /// When it happened, by the source's clock.
    pub time: Timestamp,
    /// CloudEvents `datacontenttype`.
    pub content_type: Option<String>,
    /// The bytes. `None` is "no value" (a Kafka tombstone), which is not the same as empty.
    pub data: Option<Bytes>,
    /// Further attributes; names are `[a-z0-9]{1,20}`.
    pub extensions: BTreeMap<String, String>,
}

/// Bytes of all attributes of an event together that a hub takes at most: what lists events holds their attributes in
/// memory, many at a time.
pub const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;

/// An event that breaks CloudEvents' rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// `id`, `source` or `type` is empty.
    #[error("the attribute `{0}` must not be empty")]
    Empty(&'static str),
    /// An extension's name is not `[a-z0-9]{1,20}`.
    #[error("the extension name {0:?} must be 1 to 20 characters out of a-z and 0-9")]
    ExtensionName(String),
}

impl Event {
    /// The record of an event of which nothing is known. Its `id`, `source` and `type` are empty, as no other event's are.
    pub fn unknown(time: Timestamp) -> Self {
        Self {
            id: String::new(),
            source: String::new(),
            kind: String::new(),
            subject: None,
            time,
            content_type: None,
            data: None,
            extensions: BTreeMap::new(),
        }
    }

    /// Whether this is the record of an event of which nothing is known.
    pub fn is_unknown(&self) -> bool {
        self.id.is_empty() && self.source.is_empty() && self.kind.is_empty()
    }

    /// Length of the data in bytes; a missing value has none.
    pub fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }

    /// Bytes of all attributes together: their values, and the names of extensions.
    pub fn attributes_len(&self) -> usize {
        let required = self.id.len() + self.source.len() + self.kind.len();
        let optional = [&self.subject, &self.content_type].into_iter().flatten();
        let optional: usize = optional.map(String::len).sum();
        let extensions: usize = self.extensions.iter().map(|(k, v)| k.len() + v.len()).sum();
        required + optional + extensions
    }

    /// Bytes of data and attributes.
    pub fn size(&self) -> usize {
        self.attributes_len() + self.data_len()
    }

    /// Bytes that the event takes in memory, near enough to bound queues by.
    pub fn weight(&self) -> usize {
        OVERHEAD + self.size()
    }

    /// Keeps the `traceparent` and `tracestate` that came beside the event, unless it says them itself. What is no
    /// `traceparent` is dropped, as W3C Trace Context wants.
    pub fn keep_trace(&mut self, traceparent: Option<&str>, tracestate: Option<&str>) {
        let parent = traceparent.filter(|text| TraceParent::parse(text).is_some());
        let (Some(parent), false) = (parent, self.extensions.contains_key(TRACEPARENT)) else {
            return;
        };
        self.extensions
            .insert(TRACEPARENT.to_owned(), parent.to_owned());
        // Longer ones may be cut or dropped, says the standard.
        let state = tracestate.filter(|text| (1..=512).contains(&text.len()));
        if let Some(state) = state {
            self.extensions
                .insert("tracestate".to_owned(), state.to_owned());
        }
    }

    /// Checks the rules that hold for every event.
    pub fn check(&self) -> Result<(), InvalidEvent> {
        for (name, value) in [
            ("id", &self.id),
            ("source", &self.source),
            ("type", &self.kind),
        ] {
            if value.is_empty() {
                return Err(InvalidEvent::Empty(name));
            }
        }
        let good = |name: &str| {
            (1..=20).contains(&name.len())
                && name
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        match self.extensions.keys().find(|name| !good(name)) {
            Some(name) => Err(InvalidEvent::ExtensionName(name.clone())),
            None => Ok(()),
        }
    }
}
