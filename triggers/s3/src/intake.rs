//! From notifications to offers: what is wanted, under which identity, and what the inventory notes of it.

use std::sync::Arc;
use std::time::Duration;

use tripline_model::{CursorEntry, CursorError, Offer, Receipt, Rejected};
use tripline_trigger::TriggerContext;

use crate::backlog::Backlog;
use crate::config::Config;
use crate::event::{Source, listed_name};
use crate::identity::{ObjectState, Sighting, key, notified, tag_of};
use crate::inventory::{Inventory, entry, note_suffix, state_of, state_suffix};
use crate::keylocks::{Held, KeyLocks};
use crate::names::is_creation;
use crate::record::Notification;
use crate::tally::Tally;

/// Turns notifications about one bucket into offers.
pub(crate) struct Intake {
    pub(crate) cx: TriggerContext,
    pub(crate) config: Config,
    pub(crate) source: Source,
    pub(crate) inventory: Inventory,
    pub(crate) locks: Arc<KeyLocks>,
    pub(crate) tally: Tally,
    pub(crate) backlog: Backlog,
}

/// How the offers are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The sender can be asked to come again.
    Push,
    /// We wait until there is room.
    Pull,
}

/// What makes an offer of a creation.
struct Creation {
    identity: String,
    /// The entry of the inventory that goes with it, if any.
    written: Vec<CursorEntry>,
}

/// Not everything was accepted; all of it can be offered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error(transparent)]
    Cursors(#[from] CursorError),
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

// === impl Intake ===

impl Intake {
    /// Offers what is wanted of `notifications`, all in one dispatch. On `Ok`, everything is on disk or refused for good.
    pub(crate) async fn take(
        &self,
        notifications: &[Notification],
        manner: Manner,
    ) -> Result<(), NotTaken> {
        let _held = self.hold(notifications).await;
        self.take_held(notifications, manner).await
    }

    /// Waits until nobody else works on the objects of `notifications` that only the inventory distinguishes,
    /// and holds them.
    pub(crate) async fn hold(&self, notifications: &[Notification]) -> Held {
        let about = notifications.iter().filter(|one| self.concerns(one));
        let keys = about.filter(|one| needs_inventory(one));
        let keys = keys.map(|one| one.key.clone()).collect();
        self.locks.hold(keys).await
    }

    /// The same as [`Intake::take`] for who has them [held](Intake::hold).
    pub(crate) async fn take_held(
        &self,
        notifications: &[Notification],
        manner: Manner,
    ) -> Result<(), NotTaken> {
        let (mut offers, mut notes) = (Vec::new(), Vec::new());
        for one in notifications.iter().filter(|one| self.concerns(one)) {
            let wanted = self.wants(one);
            if is_creation(&one.name) {
                let Some(creation) = self.creation(one).await? else {
                    continue;
                };
                if wanted {
                    offers.push(self.offer(one, creation.identity, creation.written));
                } else {
                    notes.extend(creation.written);
                }
            } else if wanted {
                offers.push(self.offer(one, notified(one), Vec::new()));
            }
        }
        self.inventory.put(notes).await?;
        self.dispatch(offers, manner).await
    }

    /// Whether this is to become an event.
    pub(crate) fn wants(&self, one: &Notification) -> bool {
        self.concerns(one) && self.config.events.wants(&one.name)
    }

    fn concerns(&self, one: &Notification) -> bool {
        one.bucket == self.config.bucket && self.config.covers(&one.key)
    }

    /// The identity of a creation, and the entry that goes with it; `None` if it was taken so long ago that only the
    /// inventory knows.
    async fn creation(&self, one: &Notification) -> Result<Option<Creation>, CursorError> {
        match ObjectState::of(one) {
            Some(state) => self.exact(&state).await,
            None => self.linked(one).await,
        }
    }

    /// The server shows which listed state this is: the identity knows it again, as long as that lasts.
    async fn exact(&self, state: &ObjectState) -> Result<Option<Creation>, CursorError> {
        let now = self.cx.clock().now();
        let (suffix, sighting) = (state_suffix(state), state.sighting(now));
        let identity = state.identity(&self.config.bucket);
        let mut written = vec![entry(&state.key, &suffix, Some(&sighting))];
        if sighting.is_long_ago(now)
            && let Some(seen) = self.inventory.get(&state.key, &suffix).await?
        {
            if seen.is_of(state) && self.has_fired(&seen) {
                return Ok(None);
            }
            if seen.at > sighting.at {
                // Replaced since: the later state would be taken for new again.
                written.clear();
            }
        }
        Ok(Some(Creation { identity, written }))
    }

    /// The server does not show which listed state this is. If the listing came first, it is that one.
    async fn linked(&self, one: &Notification) -> Result<Option<Creation>, CursorError> {
        let now = self.cx.clock().now();
        let group = self.inventory.group(&one.key).await?;
        let own = note_suffix(one);
        let known = group.sightings.iter().any(|(suffix, seen)| {
            let same = *suffix == own || seen.is_tied_to(one) || seen.is_claimed_by(one);
            same && seen.is_long_ago(now) && self.has_fired(seen)
        });
        if known {
            return Ok(None);
        }
        let mut listed = group.sightings.iter();
        if let Some((suffix, seen)) = listed.find(|(_, seen)| seen.is_claimed_by(one)) {
            let claimed = Sighting {
                claimed_by: Some(tag_of(one)),
                ..seen.clone()
            };
            let state = state_of(&one.key, suffix, seen);
            return Ok(Some(Creation {
                identity: state.identity(&self.config.bucket),
                written: vec![entry(&one.key, suffix, Some(&claimed))],
            }));
        }
        let note = Sighting {
            etag: one.etag.clone(),
            at: one.time.as_millis(),
            noted: now.as_millis(),
            listed: false,
            claimed_by: None,
        };
        Ok(Some(Creation {
            identity: notified(one),
            written: vec![entry(&one.key, &own, Some(&note))],
        }))
    }

    /// Whether an old sighting has had its event. A listing does not fire what it takes for something unwanted.
    fn has_fired(&self, seen: &Sighting) -> bool {
        let notified = !seen.listed || seen.claimed_by.is_some();
        notified || self.config.events.wants(listed_name(&seen.etag))
    }

    fn offer(&self, one: &Notification, name: String, cursors: Vec<CursorEntry>) -> Offer {
        let event = self.source.notified(one, &name);
        let mut offer = self.cx.offer(event, key(name));
        offer.cursors = cursors;
        offer
    }

    async fn dispatch(&self, offers: Vec<Offer>, manner: Manner) -> Result<(), NotTaken> {
        if offers.is_empty() {
            return Ok(());
        }
        let dispatch = self.cx.dispatch();
        let answers = match manner {
            Manner::Push => dispatch.try_dispatch_all(offers).await,
            Manner::Pull => dispatch.dispatch_all(offers).await,
        };
        for answer in answers {
            match answer {
                Ok(_) => {}
                Err(rejected) if waits(&rejected) => return Err(rejected.into()),
                Err(rejected) => {
                    tracing::warn!(trigger = %self.cx.name(), "a notification was skipped: {rejected}");
                    self.tally.skipped(1);
                }
            }
        }
        Ok(())
    }
}

// === impl NotTaken ===

impl NotTaken {
    /// When to come again.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Rejected(Rejected::OverLimit { retry_after, .. }) => *retry_after,
            Self::Rejected(_) | Self::Cursors(_) => Duration::from_secs(1),
        }
    }
}

/// Whether offering the same later can help: a missing function can come back with the next start of the hub.
pub(crate) fn waits(rejected: &Rejected) -> bool {
    rejected.is_passing() || matches!(rejected, Rejected::UnknownFunction(_))
}

/// Whether this was accepted now, and not before.
pub(crate) fn is_new(answer: &Result<Receipt, Rejected>) -> bool {
    matches!(answer, Ok(Receipt::New(_)))
}

fn needs_inventory(one: &Notification) -> bool {
    is_creation(&one.name) && ObjectState::of(one).is_none()
}
