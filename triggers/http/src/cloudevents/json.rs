//! The JSON format of CloudEvents. The data keeps its exact bytes: numbers are not rounded, keys not reordered.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Attributes, NotACloudEvent};

/// What a document holds.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) attributes: Attributes,
    pub(super) content_type: Option<String>,
    pub(super) data: Option<Bytes>,
}

/// The members of an object in their order, none twice.
struct Members<'d>(Vec<(String, &'d RawValue)>);

/// Reads a document.
pub(super) fn read(body: &[u8]) -> Result<Document, NotACloudEvent> {
    let Members(members) = serde_json::from_slice(body)
        .map_err(|error| NotACloudEvent(format!("the body is not a JSON object: {error}")))?;
    let mut attributes = Attributes::new();
    let (mut data, mut encoded) = (None, None);
    for (name, value) in members {
        if value.get() == "null" {
            continue;
        }
        match name.as_str() {
            "data" => data = Some(value),
            "data_base64" => encoded = Some(value),
            _ => {
                let text = attribute(&name, value)?;
                attributes.insert(name, text);
            }
        }
    }
    let content_type = attributes.remove("datacontenttype");
    let data = match (data, encoded) {
        (Some(_), Some(_)) => {
            let words = "`data` and `data_base64` exclude each other";
            return Err(NotACloudEvent(words.to_owned()));
        }
        (Some(data), None) => Some(data_bytes(data, content_type.as_deref())),
        (None, Some(encoded)) => Some(decoded(encoded)?),
        (None, None) => None,
    };
    let is_json_unsaid = content_type.is_none() && data.is_some() && encoded.is_none();
    let content_type = match content_type {
        None if is_json_unsaid => Some("application/json".to_owned()),
        other => other,
    };
    Ok(Document {
        attributes,
        content_type,
        data,
    })
}

/// JSON data as it was written; a string that is no JSON data as the text it stands for.
fn data_bytes(data: &RawValue, content_type: Option<&str>) -> Bytes {
    let is_json = content_type.is_none_or(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        kind.ends_with("/json") || kind.ends_with("+json")
    });
    let text: Option<String> = serde_json::from_str(data.get()).ok();
    match text {
        Some(text) if !is_json => Bytes::from(text),
        _ => Bytes::copy_from_slice(data.get().as_bytes()),
    }
}

fn decoded(encoded: &RawValue) -> Result<Bytes, NotACloudEvent> {
    let text: Option<String> = serde_json::from_str(encoded.get()).ok();
    let bytes = text.and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.ok_or_else(|| NotACloudEvent("`data_base64` is not base64".to_owned()))?;
    Ok(Bytes::from(bytes))
}

/// An attribute's value as text: CloudEvents knows strings, booleans and 32-bit integers here.
fn attribute(name: &str, value: &RawValue) -> Result<String, NotACloudEvent> {
    let json = value.get();
    if json.starts_with('"')
        && let Ok(text) = serde_json::from_str(json)
    {
        return Ok(text);
    }
    let is_simple = matches!(json, "true" | "false") || json.parse::<i32>().is_ok();
    if is_simple {
        return Ok(json.to_owned());
    }
    let name: String = name.chars().take(40).collect();
    let name = name.escape_debug();
    Err(NotACloudEvent(format!(
        "`{name}` must be a string, a boolean or a 32-bit integer"
    )))
}

// === impl Members ===

impl<'de: 'd, 'd> Deserialize<'de> for Members<'d> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Self::Value = Vec::new();
                let mut seen = std::collections::BTreeSet::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    // Parsers differ in which of two they believe, so neither is.
                    if !seen.insert(name.clone()) {
                        let name: String = name.chars().take(40).collect();
                        let words = format!("{name:?} is there twice");
                        return Err(A::Error::custom(words));
                    }
                    members.push((name, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(InOrder).map(Members)
    }
}
