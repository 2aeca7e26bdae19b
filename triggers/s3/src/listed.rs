//! What the inventory holds about a state that is listed.

use tripline_model::Timestamp;

use crate::identity::ObjectState;
use crate::inventory::{Group, note_tag, state_suffix};

/// What is known of a listed state.
pub(crate) enum ListedState {
    Seen,
    /// It is what this note is about.
    Noted(Vec<u8>),
    New,
}

/// Compares a listed state with the entries of its object.
pub(crate) fn judge(listed: &ObjectState, group: &Group) -> ListedState {
    let seen = group.get(&state_suffix(listed));
    if seen.is_some_and(|seen| seen.is_of(listed)) {
        return ListedState::Seen;
    }
    let notes = group
        .sightings
        .iter()
        .filter(|(suffix, _)| note_tag(suffix).is_some());
    let about = notes.filter(|(_, note)| note.notes(listed));
    let nearest = about.min_by_key(|(_, note)| note.at.abs_diff(listed.modified.as_millis()));
    match nearest {
        Some((suffix, _)) => ListedState::Noted(suffix.clone()),
        None => ListedState::New,
    }
}

/// Whether a later state was written down since the listing was asked for. Then the listing is out of date: whoever
/// wrote that has notified of this state before, or it was replaced between two listings.
pub(crate) fn is_replaced(listed: &ObjectState, group: &Group, asked: Timestamp) -> bool {
    let seen = group.get(&state_suffix(listed));
    seen.is_some_and(|seen| {
        seen.noted >= asked.as_millis() && seen.at > listed.modified.as_millis()
    })
}
