//! One run: makes consumers, one at a time, until asked to stop.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tripline_config::{SecretRef, Secrets};
use tripline_model::contain_call;
use tripline_trigger::{Trigger, TriggerContext, TriggerError};

use crate::client::client_config;
use crate::config::Config;
use crate::consumer::consume;
use crate::health::Health;
use crate::offering::Offering;
use crate::pacing::Pacing;
use crate::session::{Ending, Setup};

/// Hand-overs that wait in front of the hub, beside the one it is busy with.
const WAITING: usize = 1;

/// Answers on their way back; the consumer takes them with every turn.
const ANSWERS: usize = 16;

/// Longest wait between two consumers.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Reads topics and offers each record as an event.
pub struct KafkaTrigger {
    pub(crate) config: Arc<Config>,
    pub(crate) pacing: Pacing,
}

// === impl KafkaTrigger ===

impl KafkaTrigger {
    async fn one_consumer(
        &self,
        cx: &TriggerContext,
        client: &ClientConfig,
        health: &Arc<Health>,
        skipped: &mut u64,
    ) -> Result<Ending, TriggerError> {
        let (out, records) = mpsc::channel(WAITING);
        let (settled, back) = mpsc::channel(ANSWERS);
        let setup = Setup {
            cx: cx.clone(),
            client: client.clone(),
            config: Arc::clone(&self.config),
            health: Arc::clone(health),
            pacing: self.pacing,
            runtime: Handle::current(),
            out,
            back,
        };
        // Ends the thread also when this future is dropped; the supervisor waits for it.
        let stop = cx.shutdown().child_token();
        let _stop_at_the_end = stop.clone().drop_guard();
        let client = client.clone();
        let stopped = stop.clone();
        let thread = cx
            .tasks()
            .spawn_blocking(move || contain_call(|| consume(&client, setup, &stopped)));
        let mut offering = Offering {
            cx,
            health: Arc::clone(health),
            settle_within: self.pacing.settle_within,
            skipped,
        };
        let offered = offering.run(records, settled).await;
        if offered.is_err() {
            stop.cancel();
        }
        let ending = thread.await;
        offered?;
        let broke = || TriggerError::new("the consumer's thread broke");
        match ending {
            Ok(ending) => ending.map_err(|_| broke()),
            Err(error) => Err(broke().caused_by(error)),
        }
    }
}

impl Trigger for KafkaTrigger {
    fn secrets(&self) -> Vec<SecretRef> {
        self.config.secrets()
    }

    async fn probe(&self, secrets: &dyn Secrets) -> Result<Option<String>, TriggerError> {
        crate::probe::probe(&self.config, secrets).await
    }

    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let (client, secrets) = client_config(&self.config, &cx, &self.pacing)?;
        let health = Arc::new(Health::new(cx.clone(), secrets));
        let (mut rebuilds, mut skipped) = (0_u64, 0_u64);
        let mut wait = self.pacing.rebuild_after;
        cx.fact("rebuilds", rebuilds);
        cx.fact("skipped", skipped);
        loop {
            let begun = tokio::time::Instant::now();
            match self
                .one_consumer(&cx, &client, &health, &mut skipped)
                .await?
            {
                Ending::Stopped => return Ok(()),
                Ending::Failed(why) => return Err(TriggerError::new(health.redacted(&why))),
                Ending::Rebuild(why) => {
                    let why = health.redacted(&why);
                    tracing::warn!(trigger = %cx.name(), why, "the consumer is made anew");
                    cx.fact("last_rebuild", why);
                }
            }
            rebuilds += 1;
            cx.fact("rebuilds", rebuilds);
            if begun.elapsed() > LONGEST_WAIT {
                wait = self.pacing.rebuild_after;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = cx.shutdown().cancelled() => return Ok(()),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
