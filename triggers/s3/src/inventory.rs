//! What the trigger has seen of its bucket, kept in the journal: one entry for every object, or version of one.
//!
//! An entry's key is `o`, the object's key, NUL, and a suffix: nothing for the state of an object without versions, the
//! version id for a version, or 0x01 and a tag for a note: a notification that is not yet tied to a listed state.
//! So entries lie in the order of a listing, and all entries of one object lie together.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tripline_model::{CursorEntry, CursorError, Cursors, Timestamp, TriggerName};

use crate::identity::{ObjectState, Sighting, tag_of};
use crate::record::Notification;

/// Entries read at a time.
const CHUNK: usize = 1_000;
/// Entries of one object that are held in memory; those past it are looked up one by one and never dropped.
const GROUP_MAX: usize = 10_000;
/// Where the marker is kept; sorts before all entries.
const MARKER: &[u8] = b"m";
const OBJECT: u8 = b'o';
const NOTE: u8 = 1;

/// Reads the inventory of one trigger, and makes entries for it.
#[derive(Clone)]
pub(crate) struct Inventory {
    trigger: TriggerName,
    cursors: Arc<dyn Cursors>,
}

/// What was seen of one object.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Suffixes with what was seen, in order.
    pub(crate) sightings: Vec<(Vec<u8>, Sighting)>,
    /// There are more entries than these.
    pub(crate) cut: bool,
}

/// Says which part of which bucket the inventory is of, and whether it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Endpoint, bucket, prefix and suffix.
    pub(crate) scope: String,
    /// When the first pass began, or up to two seconds later; milliseconds since the epoch, by the store's clock, or by
    /// the hub's if the store has none.
    pub(crate) begun: i64,
    /// Whether that first pass came to its end.
    pub(crate) complete: bool,
}

/// Walks through all entries in order.
pub(crate) struct Walk {
    inventory: Inventory,
    buffer: VecDeque<(String, Vec<u8>, Sighting)>,
    after: Vec<u8>,
    ended: bool,
}

// === impl Inventory ===

impl Inventory {
    pub(crate) fn new(trigger: TriggerName, cursors: Arc<dyn Cursors>) -> Self {
        Self { trigger, cursors }
    }

    /// All that was seen of one object, up to a bound.
    pub(crate) async fn group(&self, key: &str) -> Result<Group, CursorError> {
        let mut after = vec![OBJECT];
        after.extend_from_slice(key.as_bytes());
        let mut group = Group::default();
        loop {
            let entries = self
                .cursors
                .range(&self.trigger, Some(&after), CHUNK)
                .await?;
            let full = entries.len() == CHUNK;
            for entry in entries {
                match split(&entry) {
                    Some((of, suffix, sighting)) if of == key => {
                        group.sightings.push((suffix, sighting));
                    }
                    _ => return Ok(group),
                }
                after = entry.key.to_vec();
            }
            if !full {
                return Ok(group);
            }
            if group.sightings.len() >= GROUP_MAX {
                group.cut = true;
                return Ok(group);
            }
        }
    }

    /// What was seen of one state.
    pub(crate) async fn get(
        &self,
        key: &str,
        suffix: &[u8],
    ) -> Result<Option<Sighting>, CursorError> {
        let value = self
            .cursors
            .get(&self.trigger, &entry_key(key, suffix))
            .await?;
        Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
    }

    /// Writes entries that belong to no event.
    pub(crate) async fn put(&self, entries: Vec<CursorEntry>) -> Result<(), CursorError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.cursors.put(&self.trigger, entries).await
    }

    pub(crate) async fn marker(&self) -> Result<Option<Marker>, CursorError> {
        let value = self.cursors.get(&self.trigger, MARKER).await?;
        Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
    }

    pub(crate) async fn set_marker(&self, marker: &Marker) -> Result<(), CursorError> {
        let value = serde_json::to_vec(marker).expect("a marker is plain text and numbers");
        let (key, value) = (Bytes::from_static(MARKER), Some(value.into()));
        self.put(vec![CursorEntry { key, value }]).await
    }

    pub(crate) fn walk(&self) -> Walk {
        Walk {
            inventory: self.clone(),
            buffer: VecDeque::new(),
            after: vec![OBJECT],
            ended: false,
        }
    }
}

/// The suffix of a state's entry.
pub(crate) fn state_suffix(state: &ObjectState) -> Vec<u8> {
    state
        .version_id
        .as_deref()
        .unwrap_or_default()
        .as_bytes()
        .to_vec()
}

/// The state that an entry is about.
pub(crate) fn state_of(key: &str, suffix: &[u8], sighting: &Sighting) -> ObjectState {
    let version = String::from_utf8_lossy(suffix).into_owned();
    ObjectState {
        key: key.to_owned(),
        version_id: Some(version).filter(|id| !id.is_empty()),
        etag: sighting.etag.clone(),
        modified: Timestamp::from_millis(sighting.at),
    }
}

/// The suffix of a note.
pub(crate) fn note_suffix(notification: &Notification) -> Vec<u8> {
    let mut suffix = vec![NOTE];
    suffix.extend_from_slice(tag_of(notification).as_bytes());
    suffix
}

/// The tag in a note's suffix; `None` for states.
pub(crate) fn note_tag(suffix: &[u8]) -> Option<String> {
    let tag = suffix.strip_prefix(&[NOTE])?;
    Some(String::from_utf8_lossy(tag).into_owned())
}

/// An entry as it is written; without a sighting it is removed.
pub(crate) fn entry(key: &str, suffix: &[u8], sighting: Option<&Sighting>) -> CursorEntry {
    let value = sighting.map(|sighting| {
        let json = serde_json::to_vec(sighting).expect("a sighting is plain text and numbers");
        Bytes::from(json)
    });
    CursorEntry {
        key: entry_key(key, suffix),
        value,
    }
}

fn entry_key(key: &str, suffix: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(key.len() + suffix.len() + 2);
    bytes.push(OBJECT);
    bytes.extend_from_slice(key.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(suffix);
    bytes.into()
}

fn split(entry: &CursorEntry) -> Option<(String, Vec<u8>, Sighting)> {
    let rest = entry.key.strip_prefix(&[OBJECT])?;
    let at = rest.iter().position(|byte| *byte == 0)?;
    let key = std::str::from_utf8(&rest[..at]).ok()?.to_owned();
    let sighting = serde_json::from_slice(entry.value.as_deref()?).ok()?;
    Some((key, rest[at + 1..].to_vec(), sighting))
}

// === impl Group ===

impl Group {
    /// The sighting under a suffix.
    pub(crate) fn get(&self, suffix: &[u8]) -> Option<&Sighting> {
        let found = self.sightings.iter().find(|(of, _)| of == suffix);
        found.map(|(_, sighting)| sighting)
    }

    /// Takes a sighting out.
    pub(crate) fn take(&mut self, suffix: &[u8]) -> Option<Sighting> {
        let at = self.sightings.iter().position(|(of, _)| of == suffix)?;
        Some(self.sightings.remove(at).1)
    }
}

// === impl Walk ===

impl Walk {
    /// The key of the next entry's object.
    pub(crate) async fn peek(&mut self) -> Result<Option<&str>, CursorError> {
        self.fill().await?;
        Ok(self.buffer.front().map(|(key, ..)| key.as_str()))
    }

    /// The next entry.
    pub(crate) async fn next(
        &mut self,
    ) -> Result<Option<(String, Vec<u8>, Sighting)>, CursorError> {
        self.fill().await?;
        Ok(self.buffer.pop_front())
    }

    /// The entries of the object that comes next, if it is `key`.
    pub(crate) async fn group(&mut self, key: &str) -> Result<Group, CursorError> {
        let mut group = Group::default();
        while self.peek().await? == Some(key) {
            if let Some((_, suffix, sighting)) = self.next().await? {
                if group.sightings.len() < GROUP_MAX {
                    group.sightings.push((suffix, sighting));
                } else {
                    group.cut = true;
                }
            }
        }
        Ok(group)
    }

    async fn fill(&mut self) -> Result<(), CursorError> {
        while self.buffer.is_empty() && !self.ended {
            let (trigger, cursors) = (&self.inventory.trigger, &self.inventory.cursors);
            let entries = cursors.range(trigger, Some(&self.after), CHUNK).await?;
            self.ended = entries.len() < CHUNK;
            if let Some(last) = entries.last() {
                self.after = last.key.to_vec();
            }
            self.buffer.extend(entries.iter().filter_map(split));
        }
        Ok(())
    }
}
