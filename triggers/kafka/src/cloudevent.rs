//! Records that are CloudEvents already: their attributes pass through (CloudEvents 1.0, Kafka binding).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;
use tripline_model::{Event, Timestamp};

use crate::event::{Record, header, text};

/// The event that the record carries, if it carries one; `time` stands in if it names none. What only looks like a
/// CloudEvent is none: the record is then delivered as it is.
pub(crate) fn passed_through(record: &Record<'_>, time: Timestamp) -> Option<Event> {
    let content_type = header(record, "content-type").and_then(text);
    let essence = content_type.as_deref().unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    let event = if essence.eq_ignore_ascii_case("application/cloudevents+json") {
        structured(record.value?, time)?
    } else {
        binary(record, content_type, time)?
    };
    event.check().ok().map(|()| event)
}

fn binary(record: &Record<'_>, content_type: Option<String>, time: Timestamp) -> Option<Event> {
    let mut attributes = BTreeMap::new();
    for (name, value) in &record.headers {
        if let Some(attribute) = name.strip_prefix("ce_") {
            let value = std::str::from_utf8((*value)?).ok()?;
            attributes.insert(attribute.to_owned(), value.to_owned());
        }
    }
    attributes.remove("datacontenttype");
    assemble(
        attributes,
        content_type,
        record.value.map(Bytes::copy_from_slice),
        time,
    )
}

fn structured(value: &[u8], time: Timestamp) -> Option<Event> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(value).ok()?;
    let mut attributes = BTreeMap::new();
    let (mut data, mut encoded) = (None, None);
    for (name, raw) in members {
        match name.as_str() {
            _ if raw.get() == "null" => {}
            "data" => data = Some(raw),
            "data_base64" => encoded = Some(serde_json::from_str::<String>(raw.get()).ok()?),
            _ => {
                let word = serde_json::from_str::<String>(raw.get());
                attributes.insert(name, word.unwrap_or_else(|_| raw.get().to_owned()));
            }
        }
    }
    let content_type = attributes.remove("datacontenttype");
    let bytes = match (data, encoded) {
        (Some(_), Some(_)) => return None,
        (None, Some(encoded)) => Some(STANDARD.decode(encoded).ok()?.into()),
        (Some(raw), None) => Some(data_bytes(raw, content_type.as_deref())),
        (None, None) => None,
    };
    let content_type =
        content_type.or_else(|| bytes.is_some().then(|| "application/json".to_owned()));
    assemble(attributes, content_type, bytes, time)
}

/// JSON data stays as written; a JSON string of another content type is the text itself.
fn data_bytes(raw: &RawValue, content_type: Option<&str>) -> Bytes {
    let essence = content_type.unwrap_or("application/json");
    let essence = essence.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json");
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) if !is_json => text.into(),
        _ => Bytes::copy_from_slice(raw.get().as_bytes()),
    }
}

fn assemble(
    mut attributes: BTreeMap<String, String>,
    content_type: Option<String>,
    data: Option<Bytes>,
    time: Timestamp,
) -> Option<Event> {
    if attributes.remove("specversion").as_deref() != Some("1.0") {
        return None;
    }
    let named_time = attributes.remove("time");
    Some(Event {
        id: attributes.remove("id")?,
        source: attributes.remove("source")?,
        kind: attributes.remove("type")?,
        subject: attributes.remove("subject"),
        time: named_time
            .and_then(|at| Timestamp::parse(&at))
            .unwrap_or(time),
        content_type,
        data,
        // A name that the hub does not carry is still in `kafkaheaders`.
        extensions: attributes
            .into_iter()
            .filter(|(name, _)| is_extension(name))
            .collect(),
    })
}

fn is_extension(name: &str) -> bool {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=20).contains(&name.len()) && name.bytes().all(word) && name != "data"
}
