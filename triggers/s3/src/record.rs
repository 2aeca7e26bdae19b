//! The JSON that servers send, read liberally, and what we keep of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tripline_model::Timestamp;

use crate::dialect::{Dialect, Ingress, bare_etag};

/// Longest key that S3 allows, in bytes.
const MAX_KEY_BYTES: usize = 1024;
/// Longest version id, sequencer, etag or event name that we take, in bytes: they become part of notes and attributes.
const MAX_WORD_BYTES: usize = 512;

/// One record of a notification, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) dialect: Dialect,
    /// Without the `s3:` that some servers put in front, such as `ObjectCreated:Put`.
    pub(crate) name: String,
    pub(crate) time: Timestamp,
    pub(crate) bucket: String,
    /// As the uploader wrote it.
    pub(crate) key: String,
    /// Bytes, where the server says so.
    pub(crate) size: Option<u64>,
    /// Without quotes; empty where there is none.
    pub(crate) etag: String,
    /// `None` without versioning, and for the version that is called `null`.
    pub(crate) version_id: Option<String>,
    pub(crate) sequencer: String,
    /// `x-amz-request-id`; empty where the server sends none.
    pub(crate) request_id: String,
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) principal: Option<String>,
}

/// What one body, or one line of a stream, holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) notifications: Vec<Notification>,
    /// Why some records could not be read; the others are good.
    pub(crate) skipped: Vec<String>,
}

#[derive(Deserialize)]
struct Envelope {
    /// `Some(None)` is a null, which is not the same as nothing.
    #[serde(rename = "Records", default, deserialize_with = "there")]
    records: Option<Option<Vec<Value>>>,
    #[serde(rename = "Event")]
    test: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_version: Option<String>,
    #[serde(default)]
    event_source: String,
    event_time: String,
    event_name: String,
    #[serde(default)]
    user_identity: Option<UserIdentity>,
    #[serde(default)]
    response_elements: Option<BTreeMap<String, Value>>,
    s3: S3,
}

#[derive(Deserialize)]
struct UserIdentity {
    #[serde(rename = "principalId", alias = "PrincipalId")]
    principal_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3 {
    configuration_id: Option<String>,
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    /// Ceph sends text here.
    size: Option<Value>,
    e_tag: Option<String>,
    content_type: Option<String>,
    user_metadata: Option<BTreeMap<String, String>>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// Reads a body or a line. `Err` says why it is no notification at all.
///
/// A heartbeat (`Records` null or empty) and a test event are messages without notifications. `forced` overrules what
/// the records show of their sender.
pub(crate) fn parse(
    bytes: &[u8],
    ingress: Ingress,
    forced: Option<Dialect>,
) -> Result<Message, String> {
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|err| err.to_string())?;
    let records = match (envelope.records, envelope.test) {
        (Some(records), _) => records.unwrap_or_default(),
        (None, Some(test)) if test.ends_with("TestEvent") => Vec::new(),
        (None, _) => return Err("there are no `Records`".to_owned()),
    };
    let mut message = Message::default();
    for record in records {
        match notification(record, ingress, forced) {
            Ok(good) => message.notifications.push(good),
            Err(why) => message.skipped.push(why),
        }
    }
    Ok(message)
}

fn notification(
    record: Value,
    ingress: Ingress,
    forced: Option<Dialect>,
) -> Result<Notification, String> {
    let record: Record = serde_json::from_value(record).map_err(|err| err.to_string())?;
    let version = record.event_version.as_deref().unwrap_or("2.0");
    if version.split('.').next() != Some("2") {
        return Err(format!("unknown eventVersion {version:?}"));
    }
    let object = record.s3.object;
    let configuration = record.s3.configuration_id.unwrap_or_default();
    let dialect = forced.unwrap_or_else(|| Dialect::of(&record.event_source, &configuration));
    let key = dialect
        .key(ingress, &object.key)
        .filter(|key| good_key(key));
    let key = key.ok_or("the key is not 1 to 1024 bytes of UTF-8")?;
    let time = Timestamp::parse(&record.event_time).ok_or("eventTime is not RFC 3339")?;
    let name = record.event_name.trim_start_matches("s3:").to_owned();
    let size = size(object.size.as_ref(), dialect, &name);
    let etag = object.e_tag.as_deref().map_or("", bare_etag).to_owned();
    let sequencer = object.sequencer.unwrap_or_default();
    let version_id = object
        .version_id
        .filter(|id| !matches!(id.as_str(), "" | "null"));
    let request_id = record
        .response_elements
        .as_ref()
        .and_then(|all| all.get("x-amz-request-id"));
    let request_id = request_id.and_then(Value::as_str).unwrap_or("").to_owned();
    let words = [
        &name,
        &etag,
        &sequencer,
        &request_id,
        version_id.as_ref().unwrap_or(&name),
    ];
    if words.iter().any(|word| word.len() > MAX_WORD_BYTES) || name.is_empty() {
        return Err(format!(
            "an attribute is empty or longer than {MAX_WORD_BYTES} bytes"
        ));
    }
    Ok(Notification {
        dialect,
        name,
        time,
        bucket: record.s3.bucket.name,
        key,
        size,
        etag,
        version_id,
        sequencer,
        request_id,
        content_type: object.content_type,
        metadata: object.user_metadata.unwrap_or_default(),
        principal: record.user_identity.and_then(|user| user.principal_id),
    })
}

/// A key that S3 allows. NUL cannot come through XML, and separates the parts of our own notes.
pub(crate) fn good_key(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && !key.contains('\0')
}

fn there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Vec<Value>>>, D::Error> {
    Option::deserialize(from).map(Some)
}

fn size(value: Option<&Value>, dialect: Dialect, name: &str) -> Option<u64> {
    let stated = match value {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    // MinIO leaves a size of zero out.
    let empty = dialect == Dialect::Minio && name.starts_with("ObjectCreated:");
    let stated = stated.or(empty.then_some(0));
    stated.filter(|size| *size > 0 || dialect.size_is_known(name))
}

#[cfg(test)]
mod tests;
