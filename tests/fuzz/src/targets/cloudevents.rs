//! A CloudEvent in structured JSON; what the hub writes of it reads as the same event.

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use tripline_http::fuzz::request;
use tripline_model::{Event, TriggerName};

use super::NOW;
use super::http::{check_refusal, no_controls};
use crate::events;

/// The body of a request.
pub(crate) fn cloudevents(bytes: &[u8]) {
    match read(Bytes::copy_from_slice(bytes)) {
        Ok(event) => {
            events::check(&event);
            no_controls(&event);
            let again = read(events::structured(&event)).expect("what we write is a CloudEvent");
            assert_eq!(again, expected(event));
        }
        Err(why) => check_refusal(&why, bytes.len()),
    }
}

fn read(body: Bytes) -> Result<Event, String> {
    let mut parts = Request::new(()).into_parts().0;
    let kind = HeaderValue::from_static("application/cloudevents+json");
    parts.headers.insert(header::CONTENT_TYPE, kind);
    let name = TriggerName::new("gate").expect("a name");
    request(&name, &parts, body, NOW).map(|seen| seen.event)
}

/// What a document cannot tell apart, in one way.
fn expected(mut event: Event) -> Event {
    let Some(data) = event.data.clone() else {
        return event;
    };
    let as_json = String::from_utf8_lossy(&data);
    let says_json = event.content_type.as_deref().is_none_or(is_json);
    if says_json && serde_json::from_str::<&serde_json::value::RawValue>(&as_json).is_ok() {
        let trimmed = Bytes::copy_from_slice(data.trim_ascii());
        event.data = (trimmed != "null").then_some(trimmed);
        if event.data.is_some() {
            let unsaid = || "application/json".to_owned();
            event.content_type = event.content_type.or_else(|| Some(unsaid()));
        }
    }
    event
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}
