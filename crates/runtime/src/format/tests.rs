mod clouds;
mod events;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tripline_model::{
    Event, FunctionName, Invocation, InvocationState, RequestId, Timestamp, TriggerName,
};

use super::{EventFormat, render};

/// 2026-01-01T18:00:00.250Z
const AT: Timestamp = Timestamp::from_millis(1_767_290_400_250);

const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";

/// Bytes that are no UTF-8.
const BINARY: &[u8] = &[0xff, 0x00, b'a', 0x80];

/// An invocation for `event` of a trigger called `gate`.
fn triggered(event: Event) -> Invocation {
    Invocation {
        request_id: ID.parse::<RequestId>().unwrap(),
        function: FunctionName::new("work").unwrap(),
        trigger: Some(TriggerName::new("gate").unwrap()),
        state: InvocationState::Running,
        accepted_at: AT,
        started_at: Some(AT),
        ending: None,
        data_len: event.data_len() as u64,
        event,
    }
}

fn event(kind: &str, content_type: Option<&str>, data: &[u8]) -> Event {
    Event {
        id: "e-1".to_owned(),
        source: "/triggers/gate".to_owned(),
        kind: kind.to_owned(),
        subject: None,
        time: AT,
        content_type: content_type.map(str::to_owned),
        data: Some(Bytes::copy_from_slice(data)),
        extensions: BTreeMap::new(),
    }
}

fn with(mut event: Event, extensions: &[(&str, &str)]) -> Event {
    for (name, value) in extensions {
        let (name, value) = ((*name).to_owned(), (*value).to_owned());
        event.extensions.insert(name, value);
    }
    event
}

fn call(content_type: Option<&str>, data: &[u8]) -> Invocation {
    Invocation {
        trigger: None,
        ..triggered(event("tripline.api.call.v1", content_type, data))
    }
}

fn tick(payload: &[u8]) -> Invocation {
    let event = event("tripline.cron.tick.v1", None, payload);
    triggered(with(event, &[("crontimezone", "UTC")]))
}

/// Key `{0xff, 'k'}`; the headers `n` = `{0x01, 0xff}`, `n` = nothing.
fn record(data: Option<&[u8]>) -> Invocation {
    let mut event = event("tripline.kafka.record.v1", None, data.unwrap_or_default());
    if data.is_none() {
        event.data = None;
    }
    let extensions = [
        ("kafkatopic", "orders"),
        ("kafkapartition", "3"),
        ("kafkaoffset", "90112"),
        ("kafkatimestamptype", "create"),
        ("kafkakey", "/2s="),
        ("kafkaheaders", r#"[["n","Af8="],["n",null]]"#),
    ];
    triggered(with(event, &extensions))
}

fn request(content_type: Option<&str>, data: &[u8]) -> Invocation {
    let event = event("tripline.http.request.v1", content_type, data);
    let extensions = [
        ("httpmethod", "POST"),
        ("httppath", "/jobs/7"),
        ("httpquery", "v=1&tag=x&tag=y+%26%20z&flag"),
        ("httpparams", r#"{"id":"7"}"#),
    ];
    triggered(with(event, &extensions))
}

fn object(bucket: &str, key: &str, more: &str) -> Invocation {
    let (key, bucket_json) = (Value::from(key), Value::from(bucket));
    let data = format!(
        r#"{{"bucket":{bucket_json},"key":{key},"event_name":"ObjectCreated:Put","found_by_listing":false{more}}}"#
    );
    let mut event = event(
        "com.amazonaws.s3.ObjectCreated:Put",
        Some("application/json"),
        data.as_bytes(),
    );
    event.source = format!("s3://store.test:9000/{bucket}");
    triggered(event)
}

fn rendered(invocation: &Invocation, format: EventFormat) -> Value {
    let bytes = render(invocation, format);
    serde_json::from_slice(&bytes).unwrap_or_else(|err| panic!("{err}: {bytes:?}"))
}
