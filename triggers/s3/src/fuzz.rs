//! The way in for the fuzz targets of `tests/fuzz`: what a store's JSON becomes, without a store and a journal.

use tripline_model::Event;

use crate::dialect::{Dialect, Ingress};
use crate::event::Source;
use crate::identity::{ObjectState, notified};
use crate::record::parse;

/// One notification, as it is offered.
#[derive(Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// By which it is known again.
    pub identity: String,
    /// The event that is offered.
    pub event: Event,
}

/// What one body or line holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// What can be offered.
    pub occurrences: Vec<Occurrence>,
    /// Why the other records cannot be.
    pub skipped: Vec<String>,
}

/// The names of the dialects that a config can force.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    Dialect::NAMES.into_iter().map(|(name, _)| name)
}

/// Reads a webhook's body, or a line of the Listen stream.
///
/// # Errors
/// Why it is no notification at all.
pub fn notifications(bytes: &[u8], listen: bool, forced: Option<&str>) -> Result<Seen, String> {
    let ingress = if listen {
        Ingress::Listen
    } else {
        Ingress::Webhook
    };
    let mut names = Dialect::NAMES.into_iter();
    let forced = names.find_map(|(name, dialect)| (Some(name) == forced).then_some(dialect));
    let message = parse(bytes, ingress, forced)?;
    let occurrences = message.notifications.iter().map(|one| {
        let source = Source {
            uri: format!("s3://127.0.0.1:9000/{}", one.bucket),
            bucket: one.bucket.clone(),
        };
        let identity = match ObjectState::of(one) {
            Some(state) => state.identity(&one.bucket),
            None => notified(one),
        };
        let event = source.notified(one, &identity);
        Occurrence { identity, event }
    });
    Ok(Seen {
        occurrences: occurrences.collect(),
        skipped: message.skipped,
    })
}
