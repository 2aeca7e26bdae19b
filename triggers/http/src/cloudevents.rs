//! Requests that are CloudEvents 1.0 already: in binary form (attributes in headers) or structured form (one JSON
//! document). Attributes that an event sets itself are kept as they are.

mod json;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use tripline_model::{Event, Timestamp};

/// In which form a request carries its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is no CloudEvent: the request itself is the event.
    Plain,
    /// Attributes are in `ce-` headers, the body is the data.
    Binary,
    /// The body is the whole event as JSON.
    Structured,
    /// The body is many events, or a format that is not known.
    Unsupported(&'static str),
}

/// Why a request that says it is a CloudEvent is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotACloudEvent(pub(crate) String);

/// Attributes as they were found: names in lower case, values as text.
type Attributes = BTreeMap<String, String>;

// === impl Form ===

impl Form {
    /// The attributes that are in the headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE);
        let content_type = content_type.map_or(b"".as_slice(), |value| value.as_bytes());
        let media_type = content_type.split(|byte| *byte == b';').next();
        let media_type = media_type.unwrap_or_default().trim_ascii();
        match media_type.to_ascii_lowercase().as_slice() {
            b"application/cloudevents+json" => Self::Structured,
            kind if kind.starts_with(b"application/cloudevents-batch") => {
                Self::Unsupported("batches are not taken: send each event in a request of its own")
            }
            kind if kind.starts_with(b"application/cloudevents") => Self::Unsupported(
                "of the CloudEvents formats only application/cloudevents+json is taken",
            ),
            _ => {
                let mark = ["ce-specversion", "ce-id", "ce-source", "ce-type"];
                if mark.iter().any(|name| headers.contains_key(*name)) {
                    Self::Binary
                } else {
                    Self::Plain
                }
            }
        }
    }
}

/// Reads an event in binary form. `now` is its time if it has none.
pub(crate) fn binary(
    headers: &HeaderMap,
    body: Bytes,
    now: Timestamp,
) -> Result<Event, NotACloudEvent> {
    let mut attributes = Attributes::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else {
            continue;
        };
        let text = value.to_str().ok().and_then(decoded);
        let text = text.ok_or_else(|| {
            NotACloudEvent(format!(
                "the header `ce-{name}` is not percent-encoded UTF-8"
            ))
        })?;
        if attributes.insert(name.to_owned(), text).is_some() {
            return Err(NotACloudEvent(format!(
                "the header `ce-{name}` is there twice"
            )));
        }
    }
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let content_type = content_type.map(|text| text.into_owned());
    assemble(attributes, content_type, Some(body), now)
}

/// Reads an event in structured form. `now` is its time if it has none.
pub(crate) fn structured(body: &[u8], now: Timestamp) -> Result<Event, NotACloudEvent> {
    let document = json::read(body)?;
    assemble(
        document.attributes,
        document.content_type,
        document.data,
        now,
    )
}

fn assemble(
    mut attributes: Attributes,
    content_type: Option<String>,
    data: Option<Bytes>,
    now: Timestamp,
) -> Result<Event, NotACloudEvent> {
    let content_type_said = content_type.iter().map(|text| ("datacontenttype", text));
    let named = attributes.iter().map(|(name, text)| (name.as_str(), text));
    let mut all = named.chain(content_type_said);
    // A tab stands for a space in headers.
    let is_evil = |c: char| c.is_control() && c != '\t';
    if let Some((name, _)) = all.find(|(_, text)| text.chars().any(is_evil)) {
        let name = name.escape_debug();
        return Err(NotACloudEvent(format!("`{name}` holds control characters")));
    }
    let mut required = |name: &str| match attributes.remove(name) {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) => Err(NotACloudEvent(format!("`{name}` is empty"))),
        None => Err(NotACloudEvent(format!("`{name}` is missing"))),
    };
    let version = required("specversion")?;
    if version != "1.0" {
        return Err(NotACloudEvent("`specversion` must be 1.0".to_owned()));
    }
    let (id, source, kind) = (required("id")?, required("source")?, required("type")?);
    let subject = attributes.remove("subject").filter(|text| !text.is_empty());
    let time = match attributes.remove("time") {
        None => now,
        Some(text) => Timestamp::parse(&text)
            .ok_or_else(|| NotACloudEvent("`time` is not an RFC 3339 time".to_owned()))?,
    };
    for reserved in ["data", "datacontenttype", "data_base64"] {
        if attributes.contains_key(reserved) {
            let words = format!("`{reserved}` cannot be an attribute here");
            return Err(NotACloudEvent(words));
        }
    }
    let event = Event {
        id,
        source,
        kind,
        subject,
        time,
        content_type,
        data,
        extensions: attributes,
    };
    match event.check() {
        Ok(()) => Ok(event),
        Err(error) => Err(NotACloudEvent(error.to_string())),
    }
}

/// A header's text: percent-encoded, and perhaps in double quotes.
fn decoded(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let plain = match inner {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => text.to_owned(),
    };
    let decoded = percent_decode_str(&plain).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests;
