//! What holds of every event, whatever it was read from: CloudEvents' rules, and that every function gets it whole.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use tripline_model::{
    Event, FunctionName, Invocation, InvocationState, RequestId, Timestamp, TriggerName,
};
use tripline_runtime::{EventFormat, render};

/// A byte can become six (`\u0000`), and a value is said at most this often in one format.
const GROWTH: usize = 6 * 4;

/// Checks an event and what functions get of it.
pub(crate) fn check(event: &Event) {
    event.check().expect("an event keeps CloudEvents' rules");
    let invocation = invocation(event.clone());
    let bound = 4096 + GROWTH * event.weight();
    for format in [EventFormat::CloudEvents, EventFormat::Scf, EventFormat::Aws] {
        let bytes = render(&invocation, format);
        // Without a limit of depth: what is nested deeply is JSON all the same.
        let json = serde_json::from_slice::<&RawValue>(&bytes);
        assert!(json.is_ok(), "{format:?} is no JSON: {json:?}");
        assert!(bytes.len() <= bound, "{format:?} has {} bytes", bytes.len());
    }
    let raw = render(&invocation, EventFormat::Raw);
    assert_eq!(raw, event.data.clone().unwrap_or_default());
    check_document(event, &render(&invocation, EventFormat::CloudEvents));
}

/// A function that reads the structured form finds each attribute once and as it was, and the data.
fn check_document(event: &Event, document: &[u8]) {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(document).expect("the document is an object");
    let text = |name: &str| {
        let raw = members.get(name)?;
        Some(serde_json::from_str::<String>(raw.get()).expect("attributes are text"))
    };
    assert_eq!(text("id").as_ref(), Some(&event.id));
    assert_eq!(text("source").as_ref(), Some(&event.source));
    assert_eq!(text("type").as_ref(), Some(&event.kind));
    assert_eq!(text("subject"), event.subject);
    assert_eq!(text("datacontenttype"), event.content_type);
    let time = text("time").expect("there is a time");
    assert_eq!(
        Timestamp::parse(&time),
        Some(event.time),
        "{time} is not RFC 3339"
    );
    for (name, value) in &event.extensions {
        assert_eq!(text(name).as_ref(), Some(value), "{name}");
    }
    let has_data = members.contains_key("data") || members.contains_key("data_base64");
    assert_eq!(has_data, event.data.is_some());
    if let Some(raw) = members.get("data") {
        let data = event.data.as_deref().unwrap_or_default();
        assert_eq!(raw.get().as_bytes(), data.trim_ascii());
    }
}

fn invocation(event: Event) -> Invocation {
    Invocation {
        request_id: RequestId::from_bytes([7; 16]),
        function: FunctionName::new("work").expect("a name"),
        trigger: Some(TriggerName::new("gate").expect("a name")),
        state: InvocationState::Running,
        accepted_at: event.time,
        started_at: None,
        ending: None,
        data_len: event.data_len() as u64,
        event,
    }
}

/// The event in CloudEvents' structured form.
pub(crate) fn structured(event: &Event) -> Bytes {
    render(&invocation(event.clone()), EventFormat::CloudEvents)
}
