//! The hub's side: offers what the consumer hands over, in order, and reports back which records are safe.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tripline_model::{Offer, Rejected};
use tripline_trigger::{TriggerContext, TriggerError};

use crate::batch::{Carried, SettleOutcome, Settled, settle};
use crate::health::Health;

/// Waits after a refusal that passes; longer each time it comes again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Offers records until the consumer is gone or the trigger stops.
pub(crate) struct Offering<'r> {
    pub(crate) cx: &'r TriggerContext,
    pub(crate) health: Arc<Health>,
    /// How long answers are waited for after the trigger was asked to stop.
    pub(crate) settle_within: Duration,
    /// Records that the hub would never take, and offsets that cannot be read; over all consumers of a run.
    pub(crate) skipped: &'r mut u64,
}

// === impl Offering ===

impl Offering<'_> {
    /// `Err`: the trigger cannot go on.
    pub(crate) async fn run(
        &mut self,
        mut records: mpsc::Receiver<Vec<Carried>>,
        back: mpsc::Sender<Settled>,
    ) -> Result<(), TriggerError> {
        while let Some(batch) = records.recv().await {
            // What was not offered is fetched again by the next consumer.
            if self.cx.shutdown().is_cancelled() || !self.offer_all(batch, &back).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Offers one hand-over until nothing of it is left; `false`: the trigger stops, or the consumer is gone.
    async fn offer_all(
        &mut self,
        mut left: Vec<Carried>,
        back: &mpsc::Sender<Settled>,
    ) -> Result<bool, TriggerError> {
        let mut wait = FIRST_WAIT;
        loop {
            left.retain(|record| record.lease.is_live());
            let offers: Vec<Offer> = left
                .iter()
                .filter_map(|record| record.offer.clone())
                .collect();
            #[cfg(test)]
            if tripline_skipped::is_mutant("commit-before-flush") {
                crate::tests::mutants::tell_too_soon(&left, back).await;
            }
            let answers = tokio::select! {
                biased;
                answers = self.cx.dispatch().dispatch_all(offers) => answers,
                () = self.time_is_up() => return Ok(false),
            };
            let outcome = settle(&mut left, answers);
            self.tell_refused(&outcome);
            let moved = !outcome.reached.is_empty();
            let finished = left.is_empty() && outcome.unknown_function.is_none();
            let settled = Settled {
                reached: outcome.reached,
                finished,
            };
            if back.send(settled).await.is_err() {
                return Ok(false);
            }
            if let Some(name) = outcome.unknown_function {
                return Err(TriggerError::new(format!("there is no function `{name}`")));
            }
            let Some(why) = outcome.again else {
                self.health.update(|state| state.hub = None);
                return Ok(true);
            };
            wait = if moved { FIRST_WAIT } else { wait };
            if !self.waited(&why, wait).await {
                return Ok(false);
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Waits until the refusal may have passed; `false`: the trigger stops.
    async fn waited(&self, why: &Rejected, wait: Duration) -> bool {
        let wait = match why {
            Rejected::OverLimit { retry_after, .. } => *retry_after,
            _ => {
                self.health
                    .update(|state| state.hub = Some(why.to_string()));
                wait
            }
        };
        tokio::select! {
            () = sleep(wait) => true,
            () = self.cx.shutdown().cancelled() => false,
        }
    }

    async fn time_is_up(&self) {
        self.cx.shutdown().cancelled().await;
        sleep(self.settle_within).await;
    }

    fn tell_refused(&mut self, outcome: &SettleOutcome) {
        for (lease, offset, why) in &outcome.refused {
            *self.skipped += 1;
            let (topic, partition) = (&lease.topic, lease.partition);
            tracing::warn!(
                trigger = %self.cx.name(), %topic, partition, offset, %why,
                "a record was skipped: the hub will never take it"
            );
        }
        *self.skipped += outcome.unreadable;
        if !outcome.refused.is_empty() || outcome.unreadable > 0 {
            self.cx.fact("skipped", *self.skipped);
        }
    }
}
