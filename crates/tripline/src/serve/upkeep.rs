//! Retention: removes what is old enough, in small steps, while the hub works.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tripline_journal::{Journal, LogStore, Retention, SHORT_RUN};
use tripline_model::{Clock, Timestamp, TriggerName};

use crate::telemetry::METRICS_UPKEEP;

/// How often old records and logs are removed.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// What upkeep works on.
pub(super) struct Upkeep {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) logs: Arc<dyn LogStore>,
    pub(super) clock: Arc<dyn Clock>,
    /// All triggers of the configuration, enabled or not.
    pub(super) triggers: Vec<TriggerName>,
    pub(super) retention: Retention,
    pub(super) keep_logs: Duration,
    pub(super) metrics: PrometheusHandle,
}

impl Upkeep {
    /// Works until `stop`, which may come in the middle of a removal: the next start goes on with it.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.fold() => match never {},
            never = self.forget() => match never {},
        }
    }

    async fn fold(&self) -> Infallible {
        let mut due = tokio::time::interval(METRICS_UPKEEP);
        loop {
            due.tick().await;
            self.metrics.run_upkeep();
        }
    }

    async fn forget(&self) -> Infallible {
        let mut due = tokio::time::interval(PURGE_INTERVAL);
        loop {
            due.tick().await;
            self.purge().await;
        }
    }

    async fn purge(&self) {
        let now = self.clock.now();
        self.purge_logs(now).await;
        let mut retention = self.retention;
        if let Err(error) = self.journal.register_triggers(&self.triggers, now).await {
            tracing::warn!(%error, "it cannot be noted which triggers there are");
            // The journal may consider one of them removed.
            retention.keep_removed = Duration::MAX;
        }
        match self.journal.purge(&retention, now).await {
            Ok(purged) => {
                if purged.invocations > 0 {
                    tracing::info!(invocations = purged.invocations, "forgot old invocations");
                }
                if purged.notes > 0 {
                    tracing::info!(
                        notes = purged.notes,
                        "forgot what removed triggers had noted"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "old invocations could not be removed"),
        }
    }

    /// A run may be silent for days, and may have ended while the hub was down for days: its log is kept from when its end
    /// was recorded.
    async fn purge_logs(&self, now: Timestamp) {
        let before = now.minus(self.keep_logs);
        // Whole files are removed, which is fast.
        let purged = match self.journal.oldest_with_log_to_keep(before).await {
            Ok(spared) => self
                .logs
                .purge(before.minus(SHORT_RUN), spared)
                .await
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = purged {
            tracing::warn!(error, "old logs could not be removed");
        }
    }
}

#[cfg(test)]
mod tests;
