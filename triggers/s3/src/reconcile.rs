//! Lists the bucket and compares it with the inventory: what had no notification is found, what is gone is forgotten.
//!
//! The listing and the inventory lie in the same order, so one pass walks both side by side and holds one page of each.
//! A store that lists in another order is noticed: from there on entries are looked up one by one, and none is dropped.

use std::time::Duration;

use tripline_model::{CursorEntry, CursorError, Offer, Rejected, Timestamp};

use crate::client::{Bucket, Place};
use crate::config::Mode;
use crate::event::{Listed, listed_name};
use crate::failure::StoreError;
use crate::identity::key;
use crate::intake::{Intake, is_new, waits};
use crate::inventory::{Group, Marker, Walk, entry, note_tag, state_suffix};
use crate::listed::{ListedState, is_replaced, judge};

/// Objects offered in one dispatch, and entries dropped in one write.
const BATCH: usize = 100;
/// Entries that one pass drops; those past it are left to the next. None is dropped before the end of the pass, when it
/// is known that the store listed in order.
const GONE_MAX: usize = 10_000;

/// What a pass did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Objects, or versions, in the listing.
    pub(crate) listed: u64,
    /// Accepted now.
    pub(crate) found: u64,
    /// Entries forgotten, as their objects are gone.
    pub(crate) gone: u64,
    /// The time until the youngest object that was left to its notification has settled.
    pub(crate) unsettled: Option<Duration>,
    /// This was the first pass over this bucket.
    pub(crate) first: bool,
}

/// The pass broke off; the next one begins anew, and what was accepted stays accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Cursors(#[from] CursorError),
    #[error("what was found is not accepted: {0}")]
    Rejected(#[from] Rejected),
}

/// One pass over the bucket.
pub(crate) struct Pass<'a> {
    intake: &'a Intake,
    bucket: &'a Bucket,
    begun: Timestamp,
    marker: Marker,
    /// Objects up to this time, by the store's clock, that nobody has seen were there before the trigger, and do not
    /// fire.
    skip_until: Option<Timestamp>,
    walk: Walk,
    /// The object that the listing is at, with what is left of its entries.
    at: Option<(String, Group)>,
    ordered: bool,
    page: Page,
    candidates: Vec<Listed>,
    gone: Vec<(String, Vec<u8>)>,
    outcome: Outcome,
}

/// The page of the listing that the pass is at.
struct Page {
    /// When it was asked for, by the hub's clock.
    asked: Timestamp,
    /// How many notifications had been received when it was there.
    received: u64,
}

// === impl Pass ===

impl<'a> Pass<'a> {
    pub(crate) async fn begin(intake: &'a Intake, bucket: &'a Bucket) -> Result<Self, PassError> {
        let begun = intake.cx.clock().now();
        let scope = intake.config.scope();
        let known = intake
            .inventory
            .marker()
            .await?
            .filter(|marker| marker.scope == scope);
        let marker = match known.clone() {
            Some(marker) => marker,
            // Kept for good: a store that gives no answer is asked again by the next pass.
            None => Marker {
                scope,
                begun: bucket.clock().await?.unwrap_or(begun).as_millis(),
                complete: false,
            },
        };
        // What comes while the first pass is on its way, or after one that was broken off, is new.
        let skip_until = Timestamp::from_millis(marker.begun);
        let skips = !marker.complete && !intake.config.fire_existing;
        if known.is_none() {
            intake.inventory.set_marker(&marker).await?;
        }
        let outcome = Outcome {
            first: !marker.complete,
            ..Outcome::default()
        };
        Ok(Self {
            intake,
            bucket,
            begun,
            marker,
            skip_until: skips.then_some(skip_until),
            walk: intake.inventory.walk(),
            at: None,
            ordered: true,
            page: Page {
                asked: begun,
                received: 0,
            },
            candidates: Vec::new(),
            gone: Vec::new(),
            outcome,
        })
    }

    /// Goes through the whole bucket.
    pub(crate) async fn run(mut self) -> Result<Outcome, PassError> {
        let versioned = self.bucket.is_versioned().await?;
        let mut place = Some(Place::default());
        while let Some(here) = place.take() {
            let asked = self.intake.cx.clock().now();
            let page = match versioned {
                true => self.bucket.versions(here).await?,
                false => self.bucket.objects(here).await?,
            };
            let received = self.intake.backlog.so_far();
            self.page = Page { asked, received };
            for listed in page.objects {
                if self.intake.config.covers(&listed.state.key) {
                    self.meet(listed).await?;
                }
            }
            self.settle_candidates().await?;
            place = page.next;
        }
        if self.ordered {
            self.leave_object();
            while let Some((key, suffix, _)) = self.walk.next().await? {
                self.forget(key, suffix);
            }
            self.drop_gone().await?;
        }
        if !self.marker.complete {
            self.marker.complete = true;
            self.intake.inventory.set_marker(&self.marker).await?;
        }
        Ok(self.outcome)
    }

    /// Compares the next listed state with the inventory.
    async fn meet(&mut self, listed: Listed) -> Result<(), PassError> {
        self.outcome.listed += 1;
        let key = &listed.state.key;
        let same = self.at.as_ref().is_some_and(|(at, _)| at == key);
        if !same {
            let backwards = self.at.as_ref().is_some_and(|(at, _)| at > key);
            self.ordered &= !backwards;
            if self.ordered {
                self.advance(key.clone()).await?;
            } else {
                self.at = Some((key.clone(), self.intake.inventory.group(key).await?));
            }
        }
        let Some((_, group)) = &mut self.at else {
            return Ok(());
        };
        let suffix = state_suffix(&listed.state);
        let mut known = judge(&listed.state, group);
        if group.cut && matches!(known, ListedState::New) {
            let one = self.intake.inventory.get(key, &suffix).await?;
            if one.is_some_and(|seen| seen.is_of(&listed.state)) {
                known = ListedState::Seen;
            }
        }
        group.take(&suffix);
        match known {
            ListedState::Seen => return Ok(()),
            ListedState::Noted(note) => {
                group.take(&note);
            }
            ListedState::New if self.is_unsettled(&listed) => return Ok(()),
            ListedState::New => {}
        }
        self.candidates.push(listed);
        if self.candidates.len() >= BATCH {
            self.settle_candidates().await?;
        }
        Ok(())
    }

    /// Moves the walk on to `key`; entries of objects before it are gone.
    async fn advance(&mut self, key: String) -> Result<(), PassError> {
        self.leave_object();
        while self
            .walk
            .peek()
            .await?
            .is_some_and(|next| next < key.as_str())
        {
            if let Some((gone, suffix, _)) = self.walk.next().await? {
                self.forget(gone, suffix);
            }
        }
        let group = self.walk.group(&key).await?;
        self.at = Some((key, group));
        Ok(())
    }

    /// What is left of an object's entries when the listing goes on is gone.
    fn leave_object(&mut self) {
        if let Some((key, group)) = self.at.take() {
            for (suffix, _) in group.sightings {
                self.forget(key.clone(), suffix);
            }
        }
    }

    fn is_unsettled(&mut self, listed: &Listed) -> bool {
        let modified = listed.state.modified;
        let settle = self.intake.config.settle;
        // The store's clock may be ahead of ours: then it takes so much longer.
        let ahead = modified.since(self.begun);
        let left = match settle.is_zero() {
            true => Duration::ZERO,
            false => (settle + ahead).saturating_sub(self.begun.since(modified)),
        };
        let existed = self.skip_until.is_some_and(|until| modified <= until);
        let waits = !left.is_zero() && !existed;
        if waits {
            self.outcome.unsettled = self.outcome.unsettled.max(Some(left));
        }
        waits
    }

    /// Looks at the candidates once more, with their keys held and after all notifications of them, and offers what
    /// is still new.
    async fn settle_candidates(&mut self) -> Result<(), PassError> {
        if self.candidates.is_empty() {
            return Ok(());
        }
        let candidates = std::mem::take(&mut self.candidates);
        let intake = self.intake;
        intake.backlog.wait_settled(self.page.received).await;
        let keys = candidates.iter().map(|listed| listed.state.key.clone());
        let _held = intake.locks.hold(keys.collect()).await;
        let now = intake.cx.clock().now();
        let (mut offers, mut notes): (Vec<Offer>, Vec<CursorEntry>) = (Vec::new(), Vec::new());
        let mut at: Option<(String, Group)> = None;
        for listed in &candidates {
            let key = &listed.state.key;
            if at.as_ref().is_none_or(|(of, _)| of != key) {
                at = Some((key.clone(), intake.inventory.group(key).await?));
            }
            let Some((_, group)) = &mut at else { continue };
            let mut seen = listed.state.sighting(now);
            let suffix = state_suffix(&listed.state);
            match judge(&listed.state, group) {
                ListedState::Seen => continue,
                ListedState::New if is_replaced(&listed.state, group, self.page.asked) => continue,
                ListedState::Noted(note) => {
                    group.take(&note);
                    seen.claimed_by = note_tag(&note);
                    notes.push(entry(key, &note, None));
                    notes.push(entry(key, &suffix, Some(&seen)));
                }
                ListedState::New => {
                    seen.listed = true;
                    let written = entry(key, &suffix, Some(&seen));
                    if self.fires(listed) {
                        offers.push(self.offer(listed, written));
                    } else {
                        notes.push(written);
                    }
                }
            }
        }
        intake.inventory.put(notes).await?;
        self.dispatch(offers).await
    }

    fn fires(&self, listed: &Listed) -> bool {
        let existed = self
            .skip_until
            .is_some_and(|until| listed.state.modified <= until);
        let name = listed_name(&listed.state.etag);
        !existed && self.intake.config.events.wants(name)
    }

    fn offer(&self, listed: &Listed, written: CursorEntry) -> Offer {
        let name = listed.state.identity(&self.intake.config.bucket);
        let event = self.intake.source.found(listed, &name);
        let mut offer = self.intake.cx.offer(event, key(name));
        offer.cursors = vec![written];
        offer
    }

    async fn dispatch(&mut self, offers: Vec<Offer>) -> Result<(), PassError> {
        if offers.is_empty() {
            return Ok(());
        }
        let written: Vec<_> = offers
            .iter()
            .flat_map(|offer| offer.cursors.clone())
            .collect();
        let answers = self.intake.cx.dispatch().dispatch_all(offers).await;
        let (mut new, mut passing, mut refused) = (0, None, Vec::new());
        for (answer, written) in answers.into_iter().zip(written) {
            new += u64::from(is_new(&answer));
            match answer {
                Ok(_) => {}
                Err(rejected) if waits(&rejected) => passing = Some(rejected),
                Err(rejected) => {
                    let name = self.intake.cx.name();
                    tracing::warn!(trigger = %name, "an object in the listing was skipped: {rejected}");
                    self.intake.tally.skipped(1);
                    refused.push(written);
                }
            }
        }
        // Refused for good: without an entry every pass would find it again.
        self.intake.inventory.put(refused).await?;
        self.outcome.found += new;
        let notified = !matches!(self.intake.config.mode, Mode::Poll);
        if notified && !self.outcome.first {
            self.intake.tally.missed(new);
        }
        passing.map_or(Ok(()), |rejected| Err(rejected.into()))
    }

    fn forget(&mut self, key: String, suffix: Vec<u8>) {
        if self.gone.len() < GONE_MAX {
            self.gone.push((key, suffix));
        }
    }

    /// Removes entries of what is gone, unless they were written while this pass was running.
    async fn drop_gone(&mut self) -> Result<(), PassError> {
        let intake = self.intake;
        for gone in std::mem::take(&mut self.gone).chunks(BATCH) {
            let keys = gone.iter().map(|(key, _)| key.clone());
            let _held = intake.locks.hold(keys.collect()).await;
            let mut dropped = Vec::new();
            for (key, suffix) in gone {
                let seen = intake.inventory.get(key, suffix).await?;
                if seen.is_some_and(|seen| seen.noted < self.begun.as_millis()) {
                    dropped.push(entry(key, suffix, None));
                }
            }
            self.outcome.gone += dropped.len() as u64;
            intake.inventory.put(dropped).await?;
        }
        Ok(())
    }
}
