//! When two sightings of an object are the same occurrence. The README argues the rules.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tripline_model::{Identity, Timestamp};

use crate::record::Notification;

/// How long an accepted occurrence is known again by its identity.
pub(crate) const WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// What happened longer ago may have been accepted so long ago that its identity is forgotten; a day less than the
/// window, as the store's clock is not the hub's.
const LONG_AGO: Duration = Duration::from_secs(6 * 24 * 3600);

/// A server's `eventTime` and its LastModified of the same write differ by no more.
const SAME_WRITE_MS: i64 = 2_000;
/// LastModified may lie this long before `eventTime`: a multipart upload can carry the time of its start.
const UPLOAD_MS: i64 = 24 * 3600 * 1_000;

/// One state of an object, as a listing shows it, and MinIO's notifications too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectState {
    pub(crate) key: String,
    /// `None` without versioning, and for the version that is called `null`.
    pub(crate) version_id: Option<String>,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
}

/// What is kept of a sighting in the inventory; short names, as there is one for every object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    /// Etag.
    #[serde(rename = "e")]
    pub(crate) etag: String,
    /// LastModified, or `eventTime` of a note; milliseconds since the epoch.
    #[serde(rename = "m")]
    pub(crate) at: i64,
    /// When the hub wrote this down, by its own clock.
    #[serde(rename = "n")]
    pub(crate) noted: i64,
    /// Found by listing, with the identity of the state.
    #[serde(rename = "l", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) listed: bool,
    /// The tag of the notification that turned out to be the same occurrence.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) claimed_by: Option<String>,
}

// === impl ObjectState ===

impl ObjectState {
    /// The state that a notification names exactly: by its version, or by the instant that a listing shows too.
    pub(crate) fn of(notification: &Notification) -> Option<Self> {
        let modified = notification.dialect.modified(&notification.sequencer);
        let versioned = notification.version_id.as_ref().map(|_| notification.time);
        Some(Self {
            key: notification.key.clone(),
            version_id: notification.version_id.clone(),
            etag: notification.etag.clone(),
            modified: modified.or(versioned)?,
        })
    }

    /// The name of the creation of this state.
    pub(crate) fn identity(&self, bucket: &str) -> String {
        match &self.version_id {
            Some(id) => words(&["version", bucket, &self.key, id]),
            None => {
                let at = self.modified.as_millis().to_string();
                words(&["state", bucket, &self.key, &self.etag, &at])
            }
        }
    }

    /// What the inventory keeps of it.
    pub(crate) fn sighting(&self, noted: Timestamp) -> Sighting {
        Sighting {
            etag: self.etag.clone(),
            at: self.modified.as_millis(),
            noted: noted.as_millis(),
            listed: false,
            claimed_by: None,
        }
    }
}

// === impl Sighting ===

impl Sighting {
    /// Whether the occurrence may be out of its identity's window.
    pub(crate) fn is_long_ago(&self, now: Timestamp) -> bool {
        now.since(Timestamp::from_millis(self.at)) >= LONG_AGO
    }

    /// Whether the entry under the state's suffix is about that very state: a version never changes, an object does.
    pub(crate) fn is_of(&self, state: &ObjectState) -> bool {
        let same = self.etag == state.etag && self.at == state.modified.as_millis();
        state.version_id.is_some() || same
    }

    /// Whether this note of a notification is about the listed state: a later state would have a later LastModified.
    pub(crate) fn notes(&self, listed: &ObjectState) -> bool {
        let lead = self.at - listed.modified.as_millis();
        self.etag == listed.etag && (-SAME_WRITE_MS..=UPLOAD_MS).contains(&lead)
    }

    /// Whether this state was tied to that notification.
    pub(crate) fn is_tied_to(&self, notification: &Notification) -> bool {
        self.claimed_by.as_deref() == Some(&tag_of(notification))
    }

    /// Whether this state, found by listing, is what the notification is about.
    pub(crate) fn is_claimed_by(&self, notification: &Notification) -> bool {
        match &self.claimed_by {
            Some(tag) => self.listed && *tag == tag_of(notification),
            None => {
                let near =
                    self.at.abs_diff(notification.time.as_millis()) <= SAME_WRITE_MS.unsigned_abs();
                self.listed && near && self.etag == notification.etag
            }
        }
    }
}

/// The name of an occurrence that only its notification has.
pub(crate) fn notified(notification: &Notification) -> String {
    #[cfg(test)]
    if tripline_skipped::is_mutant("sequencer-only") {
        return words(&["notified", &notification.key, &notification.sequencer]);
    }
    let at = notification.time.as_millis().to_string();
    words(&[
        "notified",
        &notification.bucket,
        &notification.key,
        notification.version_id.as_deref().unwrap_or(""),
        &notification.name,
        &notification.etag,
        &at,
        &notification.sequencer,
        &notification.request_id,
    ])
}

/// Distinguishes notifications about one key; sorts by time.
pub(crate) fn tag_of(notification: &Notification) -> String {
    format!(
        "{:014}-{}",
        notification.time.as_millis(),
        notification.sequencer
    )
}

/// The identity that the dispatcher compares.
pub(crate) fn key(name: String) -> Identity {
    Identity::Key {
        key: name,
        window: WINDOW,
        digest: None,
    }
}

/// A short, readable stand-in for a name, for CloudEvents' `id`.
pub(crate) fn readable(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Words in a row, so that no two rows give the same text.
fn words(words: &[&str]) -> String {
    serde_json::Value::from(words).to_string()
}

#[cfg(test)]
mod tests;
