//! What kind of thing happened, told from what the triggers put into their events.
//!
//! Senders of CloudEvents choose type and extensions freely, but a trigger always overwrites its own. HTTP requests
//! are looked for first: nobody who can reach an HTTP trigger can pass for a Kafka record or an object. The Kafka
//! trigger drops what a record says of a request, so that none passes for one either.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tripline_model::{Event, Invocation};

/// What happened.
#[derive(Debug)]
pub(super) enum Occurrence<'a> {
    Request(Request<'a>),
    Record(Record<'a>),
    Object(Box<Object>),
    Tick,
    /// A call through the API.
    Call,
    Other,
}

/// An HTTP request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// As sent, without the query.
    pub(super) path: &'a str,
    /// As sent; empty where there was none.
    pub(super) query: &'a str,
    /// The route's parameters, decoded.
    pub(super) params: BTreeMap<String, String>,
}

/// A record of a Kafka topic; its value is the event's data.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// `create`, `append` or `none`: whose clock stamped it.
    pub(super) stamped: &'a str,
    pub(super) key: Option<Vec<u8>>,
    /// In the producer's order.
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// An object in a bucket.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    pub(super) bucket: String,
    /// As the uploader wrote it.
    pub(super) key: String,
    /// Bytes.
    pub(super) size: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) version_id: Option<String>,
    /// Such as `ObjectCreated:Put`.
    pub(super) event_name: String,
    pub(super) sequencer: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) user_metadata: Option<BTreeMap<String, String>>,
    pub(super) principal_id: Option<String>,
}

// === impl Occurrence ===

impl<'a> Occurrence<'a> {
    pub(super) fn of(invocation: &'a Invocation) -> Self {
        let event = &invocation.event;
        if invocation.trigger.is_none() {
            return Self::Call;
        }
        if let Some(request) = request(event) {
            return Self::Request(request);
        }
        if let Some(record) = record(event) {
            return Self::Record(record);
        }
        if event.kind == "tripline.cron.tick.v1" {
            return Self::Tick;
        }
        match object(event) {
            Some(object) => Self::Object(Box::new(object)),
            None => Self::Other,
        }
    }
}

fn extension<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.extensions.get(name).map(String::as_str)
}

fn request(event: &Event) -> Option<Request<'_>> {
    let params = extension(event, "httpparams");
    Some(Request {
        method: extension(event, "httpmethod")?,
        path: extension(event, "httppath")?,
        query: extension(event, "httpquery").unwrap_or_default(),
        params: params
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default(),
    })
}

fn record(event: &Event) -> Option<Record<'_>> {
    let headers = extension(event, "kafkaheaders");
    let headers: Vec<(String, Option<String>)> = headers
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let decoded = |text: String| STANDARD.decode(text).ok();
    Some(Record {
        topic: extension(event, "kafkatopic")?,
        partition: extension(event, "kafkapartition")?.parse().ok()?,
        offset: extension(event, "kafkaoffset")?.parse().ok()?,
        stamped: extension(event, "kafkatimestamptype").unwrap_or("none"),
        key: extension(event, "kafkakey").and_then(|key| STANDARD.decode(key).ok()),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name, value.and_then(decoded)))
            .collect(),
    })
}

fn object(event: &Event) -> Option<Object> {
    if !event.kind.starts_with("com.amazonaws.s3.") {
        return None;
    }
    serde_json::from_slice(event.data.as_deref()?).ok()
}
