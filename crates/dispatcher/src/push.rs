//! Offers that do not wait: whoever offers is asked to come back.

use std::collections::HashMap;
use std::sync::Arc;

use tripline_model::{Identity, Offer, Receipt, Rejected, TriggerName};

use crate::admission::{Known, Ticket};
use crate::commit::BATCH;
use crate::limiter::Source;
use crate::shared::Shared;

/// The answers of one batch, some of which the journal still has to give.
#[derive(Default)]
struct Batch {
    answers: Vec<Option<Result<Receipt, Rejected>>>,
    tickets: Vec<Ticket>,
    /// Streams in which an event was refused for now. What lies behind it must not be accepted before it, or the
    /// stream's watermark would pass over it.
    blocked: HashMap<(Option<TriggerName>, String), Rejected>,
}

// === impl Shared ===

impl Shared {
    /// Offers events in order, without waiting for limits.
    pub(crate) async fn push(
        self: &Arc<Self>,
        offers: Vec<Offer>,
    ) -> Vec<Result<Receipt, Rejected>> {
        let mut answers = Vec::with_capacity(offers.len());
        let mut batch = Batch::default();
        for offer in offers {
            batch.offer(self, offer, &mut answers).await;
            if batch.tickets.len() == BATCH {
                batch.settle(self, &mut answers).await;
            }
        }
        batch.settle(self, &mut answers).await;
        answers
    }
}

// === impl Batch ===

impl Batch {
    async fn offer(
        &mut self,
        shared: &Arc<Shared>,
        offer: Offer,
        out: &mut Vec<Result<Receipt, Rejected>>,
    ) {
        let stream = stream(&offer);
        if let Some(rejected) = self.blocking(stream.as_ref()) {
            self.answers.push(Some(Err(rejected)));
            return;
        }
        let mut admitted = shared.admit(Arc::new(offer), Source::Push);
        if let Err(refusal) = admitted {
            if refusal.passing.is_none() || self.tickets.is_empty() {
                admitted = Err(refusal);
            } else {
                // Those before it may be repeats, which give back what they took. Else a batch that is larger than a
                // limit would, however often it is offered, never be accepted as a whole.
                self.settle(shared, out).await;
                if let Some(rejected) = self.blocking(stream.as_ref()) {
                    self.answers.push(Some(Err(rejected)));
                    return;
                }
                admitted = shared.admit(refusal.offer, Source::Push);
            }
        }
        let known = match admitted {
            Ok(ticket) => Known::Admitted(ticket),
            Err(refusal) => shared.recognise(refusal).await,
        };
        let answer = match known {
            Known::Admitted(ticket) => {
                self.tickets.push(ticket);
                None
            }
            Known::Answered(_, answer) => Some(answer),
            Known::New(refusal) => {
                self.block(stream, &refusal.rejected);
                Some(Err(refusal.rejected))
            }
        };
        self.answers.push(answer);
    }

    /// Why nothing more of a stream can be accepted in this batch.
    fn blocking(&self, stream: Option<&(Option<TriggerName>, String)>) -> Option<Rejected> {
        stream.and_then(|stream| self.blocked.get(stream)).cloned()
    }

    fn block(&mut self, stream: Option<(Option<TriggerName>, String)>, rejected: &Rejected) {
        if let Some(stream) = stream.filter(|_| rejected.is_passing()) {
            self.blocked.insert(stream, rejected.clone());
        }
    }

    /// Hands over what was admitted, and moves all answers out.
    async fn settle(&mut self, shared: &Arc<Shared>, out: &mut Vec<Result<Receipt, Rejected>>) {
        let streams: Vec<_> = self.tickets.iter().map(|one| stream(&one.offer)).collect();
        let receipts = shared.accept(std::mem::take(&mut self.tickets)).await;
        for (stream, receipt) in streams.into_iter().zip(&receipts) {
            if let Err(rejected) = receipt {
                self.block(stream, rejected);
            }
        }
        let mut receipts = receipts.into_iter();
        for answer in self.answers.drain(..) {
            let receipt = answer.or_else(|| receipts.next());
            out.push(receipt.unwrap_or(Err(Rejected::Unknown)));
        }
    }
}

fn stream(offer: &Offer) -> Option<(Option<TriggerName>, String)> {
    match &offer.identity {
        Identity::Position { stream, .. } => Some((offer.trigger.clone(), stream.clone())),
        Identity::Unique | Identity::Key { .. } => None,
    }
}
