//! Offers that wait: a pull source queues for its turn, offers what it may, and queues again for the rest.
//!
//! There are three turn queues, always acquired in this order: the trigger's (if it has a limit), the function's, the
//! hub's. Whoever is held up by one bound keeps the turn of that bound, and releases those acquired after it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use tripline_model::{Offer, Receipt, Rejected};

use crate::admission::{Known, Refusal, Ticket};
use crate::commit::BATCH;
use crate::lane::{Lane, TurnQueue};
use crate::limiter::{Scope, Source};
use crate::shared::Shared;

/// Events in one turn while others wait for theirs.
const SHARED_TURN: usize = 100;

/// A wait for the limiter is at least this long, so that a busy source gets a few events at a time and not one.
const MIN_LIMITER_WAIT: Duration = Duration::from_millis(5);

/// How often a full queue or disk is looked at when no news of it comes.
const RECHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Index of the hub's turn queue.
const HUB: usize = 2;

/// What became of the offers of one turn, in order.
enum Step {
    Answered(Arc<Offer>, Result<Receipt, Rejected>),
    Admitted(Ticket),
}

type Ordered = (Arc<Offer>, Option<Result<Receipt, Rejected>>);

/// The turns that a source holds.
struct TurnGuards<'a> {
    shared: &'a Shared,
    queues: [Option<TurnQueue>; 3],
    held: [Option<OwnedMutexGuard<()>>; 3],
    /// Events with which it waits in the hub's queue.
    wanted: usize,
}

/// Counts a source for as long as it offers.
struct Pulling<'a>(&'a AtomicUsize);

// === impl Shared ===

impl Shared {
    /// Offers events in order, waiting while a bound that passes stands in the way.
    pub(crate) async fn pull(
        self: &Arc<Self>,
        offers: Vec<Offer>,
    ) -> Vec<Result<Receipt, Rejected>> {
        let _counted = Pulling::count(&self.pulling);
        let mut answers = Vec::with_capacity(offers.len());
        let mut rest: VecDeque<_> = offers.into_iter().map(Arc::new).collect();
        while !rest.is_empty() {
            let steps = self.turn(&mut rest).await;
            let (order, tickets) = split(steps);
            let receipts = self.accept(tickets).await;
            if receipts.contains(&Err(Rejected::StorageFull)) {
                // Nothing of it was stored: the whole turn is offered again when there may be room.
                order
                    .into_iter()
                    .rev()
                    .for_each(|(offer, _)| rest.push_front(offer));
                self.sleep_unless_halted(RECHECK_INTERVAL).await;
                continue;
            }
            let given_up = receipts.iter().find_map(|receipt| receipt.clone().err());
            let given_up = given_up.filter(Rejected::is_passing);
            let mut receipts = receipts.into_iter();
            let receipts = order
                .into_iter()
                .map(|(_, answer)| answer.or_else(|| receipts.next()));
            answers.extend(receipts.map(|receipt| receipt.unwrap_or(Err(Rejected::Unknown))));
            if let Some(why) = given_up {
                // What comes behind must not be accepted before it.
                answers.extend(rest.drain(..).map(|_| Err(why.clone())));
            }
        }
        answers
    }

    /// Waits for a turn, then admits what it may of the offers in front that have the same function and trigger.
    async fn turn(self: &Arc<Self>, rest: &mut VecDeque<Arc<Offer>>) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(first) = rest.front() else {
            return steps;
        };
        let way = (first.function.clone(), first.trigger.clone());
        let lane = self.lanes.get(&way.0).cloned();
        let mut turns = self.turn_guards(first, lane.as_deref());
        turns.acquire_all(rest.len()).await;
        while let Some(offer) = rest.pop_front() {
            if (&offer.function, &offer.trigger) != (&way.0, &way.1)
                || steps.len() >= self.quantum()
            {
                rest.push_front(offer);
                break;
            }
            let known = match self.admit(offer, Source::Pull) {
                Ok(ticket) => Known::Admitted(ticket),
                Err(refusal) => self.recognise(refusal).await,
            };
            match known {
                Known::Admitted(ticket) => steps.push(Step::Admitted(ticket)),
                Known::Answered(offer, answer) => steps.push(Step::Answered(offer, answer)),
                Known::New(refusal) => match refusal.passing {
                    None => steps.push(Step::Answered(refusal.offer, Err(refusal.rejected))),
                    Some(_) if !steps.is_empty() => {
                        rest.push_front(refusal.offer);
                        break;
                    }
                    Some(scope) => {
                        turns.release_after(scope);
                        self.wait_for(&refusal, lane.as_deref()).await;
                        rest.push_front(refusal.offer);
                        turns.acquire_all(rest.len()).await;
                    }
                },
            }
        }
        steps
    }

    /// Waits until it may be worth another try.
    async fn wait_for(&self, refusal: &Refusal, lane: Option<&Lane>) {
        let room = match (refusal.passing, lane) {
            (Some(Scope::Function), Some(lane)) => &lane.room,
            _ => &self.room,
        };
        match &refusal.rejected {
            Rejected::OverLimit { retry_after, .. } => {
                self.sleep_unless_halted(MIN_LIMITER_WAIT.max(*retry_after))
                    .await;
            }
            Rejected::QueueFull { .. } => {
                let news = async {
                    tokio::select! {
                        biased;
                        () = room.notified() => {}
                        () = self.halt.cancelled() => {}
                    }
                };
                let _ = timeout(RECHECK_INTERVAL, news).await;
            }
            _ => {
                self.sleep_unless_halted(RECHECK_INTERVAL).await;
            }
        }
    }

    fn quantum(&self) -> usize {
        match self.pulling.load(Ordering::Relaxed) {
            0 | 1 => BATCH,
            _ => SHARED_TURN,
        }
    }

    fn turn_guards(&self, offer: &Offer, lane: Option<&Lane>) -> TurnGuards<'_> {
        let trigger = offer.trigger.as_ref();
        let trigger = trigger.and_then(|name| self.trigger_turns.get(name));
        let function = lane.map(|lane| lane.turns.clone());
        TurnGuards {
            shared: self,
            queues: [trigger.cloned(), function, Some(self.turns.clone())],
            held: [None, None, None],
            wanted: 0,
        }
    }
}

// === impl TurnGuards ===

impl TurnGuards<'_> {
    /// Waits for every turn that it does not hold yet; for the hub's with so many `events`.
    async fn acquire_all(&mut self, events: usize) {
        for index in 0..HUB {
            self.acquire(index).await;
        }
        self.want(events.min(self.shared.quantum()));
        self.acquire(HUB).await;
    }

    async fn acquire(&mut self, index: usize) {
        if let (Some(queue), None) = (&self.queues[index], &self.held[index]) {
            self.held[index] = Some(queue.clone().lock_owned().await);
        }
    }

    fn want(&mut self, events: usize) {
        self.shared.limiter().want(self.wanted, events);
        self.wanted = events;
    }

    /// Releases the turns that are acquired after that of `scope`.
    fn release_after(&mut self, scope: Scope) {
        let kept = match scope {
            Scope::Trigger => 1,
            Scope::Function => HUB,
            Scope::Hub => return,
        };
        self.want(0);
        self.held[kept..].fill_with(|| None);
    }
}

impl Drop for TurnGuards<'_> {
    fn drop(&mut self) {
        self.want(0);
    }
}

// === impl Pulling ===

impl<'a> Pulling<'a> {
    fn count(pulling: &'a AtomicUsize) -> Self {
        pulling.fetch_add(1, Ordering::Relaxed);
        Self(pulling)
    }
}

impl Drop for Pulling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Offers in order with their answers, `None` where a ticket decides; and the tickets.
fn split(steps: Vec<Step>) -> (Vec<Ordered>, Vec<Ticket>) {
    let mut tickets = Vec::new();
    let order = steps.into_iter().map(|step| match step {
        Step::Answered(offer, answer) => (offer, Some(answer)),
        Step::Admitted(ticket) => {
            let offer = ticket.offer.clone();
            tickets.push(ticket);
            (offer, None)
        }
    });
    (order.collect(), tickets)
}
