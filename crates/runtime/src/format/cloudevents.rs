//! CloudEvents 1.0 in structured JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tripline_model::Event;

use super::{as_json, attributes};

struct Structured<'a>(&'a Event);

/// The event as one JSON object: JSON data as it was written, every other data in `data_base64`.
pub(super) fn structured(event: &Event) -> Bytes {
    let json = serde_json::to_vec(&Structured(event));
    json.expect("text and JSON are always JSON").into()
}

impl Serialize for Structured<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in attributes(event) {
            map.serialize_entry(name, &value)?;
        }
        if let Some(content_type) = &event.content_type {
            map.serialize_entry("datacontenttype", content_type)?;
        }
        if let Some(data) = &event.data {
            let is_json = says_json(event.content_type.as_deref());
            match as_json(data).filter(|_| is_json) {
                Some(json) => map.serialize_entry("data", json)?,
                None => map.serialize_entry("data_base64", &STANDARD.encode(data))?,
            }
        }
        map.end()
    }
}

/// Whether data of that content type is JSON, by its name; data without one is, says CloudEvents.
fn says_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}
