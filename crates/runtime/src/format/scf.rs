//! The shapes that Tencent SCF hands to its functions.
//!
//! | SCF member | what it is here |
//! |---|---|
//! | COS `appid` | the digits after the last `-` of the bucket's name, as COS names buckets; `0` if there are none |
//! | COS `key` | `/APPID/BUCKET/KEY`, the bucket without its appid |
//! | COS `url` | `http://HOST/BUCKET/KEY` of the server that has the bucket |
//! | CKafka `msgKey` | `"None"` where there is none |
//! | CKafka `msgBody` | `null` where there is no value |
//! | API gateway `requestContext.path` | the path as it was sent; SCF has the pattern of its API, such as `/jobs/{id}` |
//! | `msgKeyIsBase64Encoded`, `msgBodyIsBase64Encoded`, `messageIsBase64Encoded` | ours: `true` where bytes are no text, and else left out |

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tripline_model::{Event, Invocation};

use super::occurrence::{Object, Occurrence, Record, Request};
use super::text::{headers, in_seconds, or_base64, path_encoded, query};

/// SCF's shape for what happened, if it has one.
pub(super) fn shape(invocation: &Invocation, occurrence: &Occurrence<'_>) -> Option<Bytes> {
    let document = match occurrence {
        Occurrence::Object(object) => cos(invocation, object),
        Occurrence::Record(record) => ckafka(&invocation.event, record),
        Occurrence::Tick => timer(invocation),
        Occurrence::Request(request) => api_gateway(invocation, request),
        Occurrence::Call | Occurrence::Other => return None,
    };
    Some(document.to_string().into())
}

fn cos(invocation: &Invocation, object: &Object) -> Value {
    let event = &invocation.event;
    let (name, appid) = match object.bucket.rsplit_once('-') {
        Some((name, appid)) if is_number(appid) && !name.is_empty() => (name, appid),
        _ => (object.bucket.as_str(), "0"),
    };
    let place = event.source.strip_prefix("s3://").unwrap_or_default();
    // COS removes, where S3 has removed.
    let event_name = object
        .event_name
        .replacen("ObjectRemoved:", "ObjectRemove:", 1);
    let function = &invocation.function;
    json!({"Records": [{
        "cos": {
            "cosSchemaVersion": "1.0",
            "cosObject": {
                "url": format!("http://{place}/{}", path_encoded(&object.key)),
                "meta": metadata(object),
                "vid": object.version_id.as_deref().unwrap_or_default(),
                "key": format!("/{appid}/{name}/{}", object.key),
                "size": object.size.unwrap_or(0),
            },
            "cosBucket": {"region": "", "name": name, "appid": appid},
            "cosNotificationId": "unkown",
        },
        "event": {
            "eventName": format!("cos:{event_name}"),
            "eventVersion": "1.0",
            "eventTime": event.time.as_millis().div_euclid(1000),
            "eventSource": "qcs::cos",
            "requestParameters": {"requestSourceIP": "", "requestHeaders": {"Authorization": ""}},
            "eventQueue": format!("qcs:0:scf::appid/{appid}:default.{function}.$DEFAULT"),
            "reservedInfo": "",
            "reqid": 0,
        },
    }]})
}

fn metadata(object: &Object) -> Map<String, Value> {
    let mut meta = Map::from_iter([("x-cos-request-id".to_owned(), "".into())]);
    for (name, value) in object.user_metadata.iter().flatten() {
        let lower = name.to_ascii_lowercase();
        let name = match lower.strip_prefix("x-amz-meta-") {
            Some(own) => format!("x-cos-meta-{own}"),
            None => name.clone(),
        };
        meta.insert(name, value.as_str().into());
    }
    if let Some(content_type) = &object.content_type {
        meta.insert("Content-Type".to_owned(), content_type.as_str().into());
    }
    meta
}

fn ckafka(event: &Event, record: &Record<'_>) -> Value {
    let mut members = Map::from_iter([
        ("topic".to_owned(), record.topic.into()),
        ("partition".to_owned(), record.partition.into()),
        ("offset".to_owned(), record.offset.into()),
        ("msgKey".to_owned(), "None".into()),
        ("msgBody".to_owned(), Value::Null),
    ]);
    if let Some(key) = &record.key {
        add_text(&mut members, "msgKey", key);
    }
    if let Some(data) = &event.data {
        add_text(&mut members, "msgBody", data);
    }
    json!({"Records": [{"Ckafka": members}]})
}

fn timer(invocation: &Invocation) -> Value {
    let event = &invocation.event;
    let trigger = invocation.trigger.as_ref();
    let mut members = Map::from_iter([
        ("Type".to_owned(), "Timer".into()),
        (
            "TriggerName".to_owned(),
            trigger.map(|name| name.as_str()).into(),
        ),
        ("Time".to_owned(), in_seconds(event.time).into()),
    ]);
    let data = event.data.as_deref().unwrap_or_default();
    let (message, encoded) = or_base64(data);
    members.insert("Message".to_owned(), message.into());
    if encoded {
        members.insert("messageIsBase64Encoded".to_owned(), true.into());
    }
    Value::Object(members)
}

fn api_gateway(invocation: &Invocation, request: &Request<'_>) -> Value {
    let event = &invocation.event;
    let (body, encoded) = or_base64(event.data.as_deref().unwrap_or_default());
    let mut document = json!({
        "requestContext": {
            "serviceId": "",
            "path": request.path,
            "httpMethod": request.method,
            "requestId": invocation.request_id.to_string(),
            "identity": {},
            "sourceIp": "",
            "stage": "release",
        },
        "headers": headers(event),
        "body": body,
        "pathParameters": request.params,
        "queryStringParameters": {},
        "headerParameters": {},
        "stageVariables": {"stage": "release"},
        "path": request.path,
        "queryString": query_string(request.query),
        "httpMethod": request.method,
    });
    if encoded {
        document["isBase64Encoded"] = true.into();
    }
    document
}

/// A name that repeats has an array, one without a value has `true`.
fn query_string(text: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in query(text) {
        let value = value.map_or(Value::Bool(true), Value::String);
        match all.get_mut(&name) {
            None => {
                all.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    all
}

fn add_text(members: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    let (text, encoded) = or_base64(bytes);
    members.insert(name.to_owned(), text.into());
    if encoded {
        members.insert(format!("{name}IsBase64Encoded"), true.into());
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}
