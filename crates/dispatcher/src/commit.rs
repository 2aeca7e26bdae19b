//! The moment of acceptance: admitted events go to the journal in one hand-over, and the receipts follow the flush.

use std::sync::Arc;

use metrics::histogram;
use tokio::time::Instant;
use tripline_journal::{Accepted, JournalError, NewInvocation};
use tripline_model::{Invocation, InvocationState, Offer, Receipt, Rejected, RequestId};

use crate::admission::{Ticket, answer};
use crate::shared::Shared;

/// Events in one hand-over, at most.
pub(crate) const BATCH: usize = 1000;

// === impl Shared ===

impl Shared {
    /// Accepts admitted events. One answer for each, in order. The work belongs to the hub: when the caller goes away,
    /// what was handed over is still booked.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        tickets: Vec<Ticket>,
    ) -> Vec<Result<Receipt, Rejected>> {
        let count = tickets.len();
        if count == 0 {
            return Vec::new();
        }
        let began = Instant::now();
        let batch: Vec<_> = tickets.iter().map(on_its_way).collect();
        let shared = self.clone();
        let commit = async move { shared.commit(tickets, batch, began).await };
        let task = self.tasks.spawn(commit);
        let lost = || vec![Err(Rejected::Unknown); count];
        task.await.unwrap_or_else(|_| lost())
    }

    async fn commit(
        &self,
        tickets: Vec<Ticket>,
        batch: Vec<NewInvocation>,
        began: Instant,
    ) -> Vec<Result<Receipt, Rejected>> {
        let ids: Vec<_> = batch.iter().map(|new| new.request_id).collect();
        match self.journal.accept(batch).await {
            Ok(accepted) => {
                histogram!("tripline_accept_seconds").record(began.elapsed().as_secs_f64());
                let booked = tickets.into_iter().zip(ids).zip(accepted);
                booked
                    .map(|((ticket, id), accepted)| self.book(ticket, id, accepted))
                    .collect()
            }
            Err(error) => {
                let rejected = self.refused(error);
                let booked = tickets.into_iter().zip(ids);
                booked
                    .map(|(ticket, id)| {
                        ticket.lane.queue().not_committed(id);
                        Err(rejected.clone())
                    })
                    .collect()
            }
        }
    }

    /// Books what the journal answered.
    fn book(&self, ticket: Ticket, id: RequestId, accepted: Accepted) -> Result<Receipt, Rejected> {
        let lane = ticket.lane.clone();
        if let Accepted::New(_) = accepted {
            let waits = {
                let mut queue = lane.queue();
                queue.release();
                let weight = ticket.offer.event.weight();
                queue.committed(id, weight, || waiting(id, &ticket.offer))
            };
            lane.counts().accepted(ticket.offer.trigger.as_ref());
            ticket.spend();
            if waits {
                lane.work.notify_one();
            } else {
                self.free_places(&lane, 1);
            }
        } else {
            lane.queue().not_committed(id);
        }
        answer(accepted)
    }

    /// What a failed hand-over means to those who offered.
    fn refused(&self, error: JournalError) -> Rejected {
        match error {
            JournalError::Full => Rejected::StorageFull,
            JournalError::Poisoned(why) => {
                self.fail(why);
                Rejected::Unknown
            }
            error @ (JournalError::Unavailable(_)
            | JournalError::Illegal(_)
            | JournalError::NotFound(_)
            | JournalError::Duplicate(_)
            | JournalError::Damaged(_)
            | JournalError::ExecutionLocked { .. }) => {
                tracing::error!(%error, "events could not be accepted");
                Rejected::Unavailable
            }
        }
    }
}

/// What the journal gets of an event, whose id is known to be on its way from here on.
fn on_its_way(ticket: &Ticket) -> NewInvocation {
    let request_id = ticket.request_id;
    ticket.lane.queue().commit(request_id);
    NewInvocation {
        request_id,
        accepted_at: request_id.timestamp(),
        offer: ticket.offer.clone(),
    }
}

fn waiting(request_id: RequestId, offer: &Offer) -> Invocation {
    Invocation {
        request_id,
        function: offer.function.clone(),
        trigger: offer.trigger.clone(),
        state: InvocationState::Accepted,
        accepted_at: request_id.timestamp(),
        started_at: None,
        ending: None,
        data_len: offer.event.data_len() as u64,
        event: offer.event.clone(),
    }
}
