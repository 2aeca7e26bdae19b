//! The shapes that AWS Lambda hands to its functions: S3 notifications 2.1, a self-managed Kafka cluster, EventBridge
//! schedules, and API Gateway's HTTP APIs (payload 2.0).
//!
//! | AWS member | what it is here |
//! |---|---|
//! | account, region, `bootstrapServers`, addresses | empty |
//! | S3 `configurationId`, the rule in `resources` | the trigger's name |
//! | S3 `key` | form-encoded, slashes as they are |
//! | Kafka `value` | the event's data; of a record in CloudEvents' structured form the data inside |
//! | Kafka headers | arrays of signed bytes, as AWS writes them |
//! | a timer with a JSON payload | the payload alone, as of a rule with a constant |
//! | a timer with another payload | `detail` = `{"payload": "..."}`, or `payload_base64` where it is no text |

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tripline_model::{Event, Invocation, Timestamp};

use super::as_json;
use super::occurrence::{Object, Occurrence, Record, Request};
use super::text::{form_encoded, headers, in_seconds, or_base64, query};

/// AWS's shape for what happened, if it has one.
pub(super) fn shape(invocation: &Invocation, occurrence: &Occurrence<'_>) -> Option<Bytes> {
    let data = invocation.event.data.as_ref();
    let document = match occurrence {
        Occurrence::Object(object) => s3(invocation, object),
        Occurrence::Record(record) => kafka(&invocation.event, record),
        Occurrence::Tick => match data.filter(|data| as_json(data).is_some()) {
            Some(constant) => return Some(constant.clone()),
            None => schedule(invocation),
        },
        Occurrence::Request(request) => http_api(invocation, request),
        Occurrence::Call | Occurrence::Other => return None,
    };
    Some(document.to_string().into())
}

fn s3(invocation: &Invocation, object: &Object) -> Value {
    let mut facts = Map::from_iter([("key".to_owned(), form_encoded(&object.key).into())]);
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            facts.insert(name.to_owned(), value);
        }
    };
    add("size", object.size.map(Value::from));
    add("eTag", object.etag.as_deref().map(Value::from));
    add("versionId", object.version_id.as_deref().map(Value::from));
    add("sequencer", object.sequencer.as_deref().map(Value::from));
    let bucket = &object.bucket;
    let principal = object.principal_id.as_deref().unwrap_or_default();
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "",
        "eventTime": invocation.event.time.to_string(),
        "eventName": object.event_name,
        "userIdentity": {"principalId": principal},
        "requestParameters": {"sourceIPAddress": ""},
        "responseElements": {"x-amz-request-id": "", "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": trigger(invocation),
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": ""},
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": facts,
        },
    }]})
}

fn kafka(event: &Event, record: &Record<'_>) -> Value {
    let (timestamp, kind) = match record.stamped {
        "create" => (event.time.as_millis(), "CREATE_TIME"),
        "append" => (event.time.as_millis(), "LOG_APPEND_TIME"),
        _ => (-1, "NO_TIMESTAMP_TYPE"),
    };
    let signed = |bytes: &[u8]| -> Value {
        let bytes = bytes.iter();
        bytes.map(|byte| i8::from_ne_bytes([*byte])).collect()
    };
    let headers = record.headers.iter();
    let headers: Vec<Value> = headers
        .map(|(name, value)| json!({(name): signed(value.as_deref().unwrap_or_default())}))
        .collect();
    let mut members = Map::from_iter([
        ("topic".to_owned(), record.topic.into()),
        ("partition".to_owned(), record.partition.into()),
        ("offset".to_owned(), record.offset.into()),
        ("timestamp".to_owned(), timestamp.into()),
        ("timestampType".to_owned(), kind.into()),
        ("headers".to_owned(), headers.into()),
    ]);
    if let Some(key) = &record.key {
        members.insert("key".to_owned(), STANDARD.encode(key).into());
    }
    if let Some(data) = &event.data {
        members.insert("value".to_owned(), STANDARD.encode(data).into());
    }
    let partition = format!("{}-{}", record.topic, record.partition);
    json!({
        "eventSource": "SelfManagedKafka",
        "bootstrapServers": "",
        "records": {(partition): [members]},
    })
}

fn schedule(invocation: &Invocation) -> Value {
    let payload = invocation.event.data.as_deref().unwrap_or_default();
    let detail = match or_base64(payload) {
        (text, false) if text.is_empty() => json!({}),
        (text, false) => json!({"payload": text}),
        (encoded, true) => json!({"payload_base64": encoded}),
    };
    json!({
        "version": "0",
        "id": invocation.request_id.to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "",
        "time": in_seconds(invocation.event.time),
        "region": "",
        "resources": [format!("arn:aws:events:::rule/{}", trigger(invocation))],
        "detail": detail,
    })
}

fn http_api(invocation: &Invocation, request: &Request<'_>) -> Value {
    let event = &invocation.event;
    let (body, encoded) = or_base64(event.data.as_deref().unwrap_or_default());
    let mut document = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers(event),
        "requestContext": {
            "accountId": "",
            "apiId": "",
            "domainName": "",
            "domainPrefix": "",
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "",
                "userAgent": "",
            },
            "requestId": invocation.request_id.to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": in_log_style(event.time).unwrap_or_default(),
            "timeEpoch": event.time.as_millis(),
        },
        "isBase64Encoded": encoded,
    });
    // What is empty is left out.
    let parameters = query_parameters(request.query);
    if !parameters.is_empty() {
        document["queryStringParameters"] = parameters.into();
    }
    if !request.params.is_empty() {
        document["pathParameters"] = json!(request.params);
    }
    if !body.is_empty() {
        document["body"] = body.into();
    }
    document
}

/// The values of a name that repeats are joined by commas.
fn query_parameters(text: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in query(text) {
        let value = value.unwrap_or_default();
        match all.get_mut(&name) {
            Some(Value::String(values)) => {
                values.push(',');
                values.push_str(&value);
            }
            _ => {
                all.insert(name, value.into());
            }
        }
    }
    all
}

/// As in `12/Mar/2020:19:03:58 +0000`.
fn in_log_style(at: Timestamp) -> Option<String> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = in_seconds(at);
    let (date, time) = text.trim_end_matches('Z').split_once('T')?;
    let mut parts = date.rsplitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    Some(format!("{day}/{month}/{year}:{time} +0000"))
}

fn trigger(invocation: &Invocation) -> &str {
    invocation.trigger.as_ref().map_or("", |name| name.as_str())
}
