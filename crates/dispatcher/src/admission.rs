//! Whether an event may come in. Nothing is written here; what an event takes (a place in the queues, its part of the
//! limits) is held by its [`Ticket`] and given back if it is not accepted after all.

use std::sync::Arc;

use tokio::time::Instant;
use tripline_journal::{Accepted, Health};
use tripline_model::{Identity, MAX_ATTRIBUTE_BYTES, Offer, Receipt, Rejected, RequestId, lock};

use crate::lane::Lane;
use crate::limiter::{Charge, LIFE_START, OverLimit, Scope, Source};
use crate::shared::Shared;

/// An event that may come in, with what it took.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) offer: Arc<Offer>,
    /// The id that it gets if the occurrence is new.
    pub(crate) request_id: RequestId,
    /// What it took of the limits; nothing if it was accepted before.
    charge: Option<Charge>,
    /// Whether it was accepted, and its charge and place are used.
    spent: bool,
}

/// An event that may not come in now.
pub(crate) struct Refusal {
    pub(crate) offer: Arc<Offer>,
    pub(crate) rejected: Rejected,
    /// Whose bound stands in the way, where it is one that passes.
    pub(crate) passing: Option<Scope>,
}

/// What keeps an event out, and whose bound that is, where it is one that passes.
type Bar = (Rejected, Option<Scope>);

/// How the occurrence was known.
pub(crate) enum Known {
    /// Everything about it is on disk: this is the answer.
    Answered(Arc<Offer>, Result<Receipt, Rejected>),
    /// It is known, and its cursors still have to be written: it comes in, whatever the limits say.
    Admitted(Ticket),
    /// It is new: the refusal stands.
    New(Box<Refusal>),
}

// === impl Shared ===

impl Shared {
    /// Admits an event, or says why not.
    pub(crate) fn admit(
        self: &Arc<Self>,
        offer: Arc<Offer>,
        source: Source,
    ) -> Result<Ticket, Box<Refusal>> {
        let place = self.check(&offer).and_then(|lane| {
            self.storage()?;
            self.place(&lane)?;
            Ok(lane)
        });
        let lane = match place {
            Ok(lane) => lane,
            Err((rejected, passing)) => {
                return Err(Box::new(Refusal {
                    offer,
                    rejected,
                    passing,
                }));
            }
        };
        match self.charge(&offer, source) {
            Ok((charge, request_id)) => Ok(self.ticket(lane, offer, request_id, Some(charge))),
            Err(over) => {
                self.leave(&lane);
                Err(Box::new(Refusal {
                    rejected: over_limit(&over, &offer),
                    passing: Some(over.scope),
                    offer,
                }))
            }
        }
    }

    /// Takes an event's part of the limits and gives it its id, and with that its time: checked before, and counted from
    /// after it. So no second has more than the limit in the records either, wherever this thread is held up.
    fn charge(&self, offer: &Offer, source: Source) -> Result<(Charge, RequestId), OverLimit> {
        let time = || LIFE_START + (Instant::now() - self.began);
        let mut limiter = self.limiter();
        let trigger = offer.trigger.as_ref();
        let mut charge = limiter.check(time(), source, &offer.function, trigger)?;
        let request_id = self.mint();
        limiter.take(&mut charge, time());
        Ok((charge, request_id))
    }

    fn mint(&self) -> RequestId {
        let mut mint = lock(&self.mint);
        mint.next(self.clock.now())
    }

    /// Gives a place in the queues back.
    fn leave(&self, lane: &Lane) {
        lane.queue().release();
        self.free_places(lane, 1);
    }

    /// The rules that no waiting changes.
    fn check(&self, offer: &Offer) -> Result<Arc<Lane>, Bar> {
        let (size, limit) = (offer.event.size() as u64, self.config.max_event_bytes);
        if size > limit {
            return Err((Rejected::TooLarge { size, limit }, None));
        }
        let size = offer.event.attributes_len() as u64;
        let limit = MAX_ATTRIBUTE_BYTES as u64;
        if size > limit {
            return Err((Rejected::AttributesTooLarge { size, limit }, None));
        }
        if let Err(error) = offer.event.check() {
            return Err((Rejected::Invalid(error.to_string()), None));
        }
        let lane = self.lanes.get(&offer.function).cloned();
        lane.ok_or_else(|| (Rejected::UnknownFunction(offer.function.clone()), None))
    }

    /// Whether anything can be stored now.
    fn storage(&self) -> Result<(), Bar> {
        if self.has_failed() {
            return Err((Rejected::Unavailable, None));
        }
        if self.is_draining() {
            return Err((Rejected::Draining, None));
        }
        match self.journal.health() {
            Health::Ok => Ok(()),
            Health::Full => Err((Rejected::StorageFull, Some(Scope::Hub))),
            Health::Poisoned(why) => {
                self.fail(why);
                Err((Rejected::Unavailable, None))
            }
        }
    }

    /// Takes a place in the function's and the hub's queue.
    fn place(&self, lane: &Lane) -> Result<(), Bar> {
        let limit = lane.function.max_queued;
        if !lane.queue().reserve(limit) {
            let scope = format!("function {}", lane.function.name);
            return Err((Rejected::QueueFull { scope, limit }, Some(Scope::Function)));
        }
        if !self.take_place(false) {
            lane.queue().release();
            let (scope, limit) = ("the hub".to_owned(), self.config.max_queued);
            return Err((Rejected::QueueFull { scope, limit }, Some(Scope::Hub)));
        }
        Ok(())
    }

    /// Whether the occurrence of a refused offer is known: then it gets its answer whatever the limits say.
    pub(crate) async fn recognise(self: &Arc<Self>, refusal: Box<Refusal>) -> Known {
        if refusal.passing.is_none() || refusal.offer.identity == Identity::Unique {
            return Known::New(refusal);
        }
        let found = match self.journal.find_identity(&refusal.offer).await {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) => return Known::New(refusal),
        };
        let answer = answer(found);
        let complete = refusal.offer.cursors.is_empty() || answer.is_err();
        match self.lanes.get(&refusal.offer.function) {
            _ if complete => Known::Answered(refusal.offer, answer),
            // On a full disk the cursors cannot be written now.
            Some(lane) if refusal.rejected != Rejected::StorageFull => {
                lane.queue().reserve(u64::MAX);
                self.take_place(true);
                Known::Admitted(self.ticket(lane.clone(), refusal.offer, self.mint(), None))
            }
            _ => Known::New(refusal),
        }
    }

    fn ticket(
        self: &Arc<Self>,
        lane: Arc<Lane>,
        offer: Arc<Offer>,
        request_id: RequestId,
        charge: Option<Charge>,
    ) -> Ticket {
        Ticket {
            shared: self.clone(),
            lane,
            offer,
            request_id,
            charge,
            spent: false,
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// The event was accepted: the limits keep what it took, its place is booked as waiting work by the caller.
    pub(crate) fn spend(mut self) {
        self.spent = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        if let Some(charge) = &self.charge {
            self.shared.limiter().give_back(charge);
        }
        self.shared.leave(&self.lane);
    }
}

/// What the journal's answer means to who offered.
pub(crate) fn answer(accepted: Accepted) -> Result<Receipt, Rejected> {
    match accepted {
        Accepted::New(id) => Ok(Receipt::New(id)),
        Accepted::Known(id) => Ok(Receipt::Known(id)),
        Accepted::Past => Ok(Receipt::Past),
        Accepted::KeyReused => Err(Rejected::KeyReused),
    }
}

fn over_limit(over: &OverLimit, offer: &Offer) -> Rejected {
    let scope = match (over.scope, &offer.trigger) {
        (Scope::Trigger, Some(trigger)) => format!("trigger {trigger}"),
        (Scope::Function, _) => format!("function {}", offer.function),
        (Scope::Hub | Scope::Trigger, _) => "the hub".to_owned(),
    };
    Rejected::OverLimit {
        retry_after: over.retry_after,
        scope,
        limit: over.limit,
    }
}
