//! From a notification, or an object in a listing, to the event that a function gets.

use std::collections::BTreeMap;

use serde::Serialize;
use tripline_model::{Event, Timestamp};

use crate::identity::{ObjectState, readable};
use crate::record::Notification;

/// An object, or a version of one, in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) state: ObjectState,
    /// Bytes.
    pub(crate) size: u64,
}

/// The `source` of events.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// `s3://HOST[:PORT]/BUCKET`.
    pub(crate) uri: String,
    pub(crate) bucket: String,
}

/// The event's data.
#[derive(Serialize)]
struct Data<'a> {
    bucket: &'a str,
    key: &'a str,
    size: Option<u64>,
    etag: Option<&'a str>,
    version_id: Option<&'a str>,
    event_name: &'a str,
    event_time: String,
    sequencer: Option<&'a str>,
    content_type: Option<&'a str>,
    user_metadata: Option<&'a BTreeMap<String, String>>,
    principal_id: Option<&'a str>,
    found_by_listing: bool,
}

// === impl Source ===

impl Source {
    /// The event of a notification; `identity` is the occurrence's name.
    pub(crate) fn notified(&self, notification: &Notification, identity: &str) -> Event {
        let data = Data {
            bucket: &self.bucket,
            key: &notification.key,
            size: notification.size,
            etag: filled(&notification.etag),
            version_id: notification.version_id.as_deref(),
            event_name: &notification.name,
            event_time: notification.time.to_string(),
            sequencer: filled(&notification.sequencer),
            content_type: notification.content_type.as_deref(),
            user_metadata: Some(&notification.metadata).filter(|all| !all.is_empty()),
            principal_id: notification.principal.as_deref(),
            found_by_listing: false,
        };
        self.event(&data, notification.time, identity)
    }

    /// The event of an object that was found by listing.
    pub(crate) fn found(&self, listed: &Listed, identity: &str) -> Event {
        let state = &listed.state;
        let data = Data {
            bucket: &self.bucket,
            key: &state.key,
            size: Some(listed.size),
            etag: filled(&state.etag),
            version_id: state.version_id.as_deref(),
            event_name: listed_name(&state.etag),
            event_time: state.modified.to_string(),
            sequencer: None,
            content_type: None,
            user_metadata: None,
            principal_id: None,
            found_by_listing: true,
        };
        self.event(&data, state.modified, identity)
    }

    fn event(&self, data: &Data<'_>, time: Timestamp, identity: &str) -> Event {
        let size = data.size.map(|size| size.to_string());
        let attributes = [
            ("s3bucket", Some(data.bucket)),
            ("s3size", size.as_deref()),
            ("s3etag", data.etag),
            ("s3versionid", data.version_id),
            ("s3sequencer", data.sequencer),
            ("s3synthetic", data.found_by_listing.then_some("true")),
        ];
        let given = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let json = serde_json::to_vec(data).expect("the data is plain text and numbers");
        Event {
            id: readable(identity),
            source: self.uri.clone(),
            kind: format!("com.amazonaws.s3.{}", data.event_name),
            subject: Some(data.key.to_owned()),
            time,
            content_type: Some("application/json".to_owned()),
            data: Some(json.into()),
            extensions: given.collect(),
        }
    }
}

/// The likely name of the creation of a listed object: the etag of an upload in parts ends in their number.
pub(crate) fn listed_name(etag: &str) -> &'static str {
    let parts = etag.rsplit_once('-').map(|(_, parts)| parts);
    let in_parts = parts.is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()));
    if in_parts {
        "ObjectCreated:CompleteMultipartUpload"
    } else {
        "ObjectCreated:Put"
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
