//! Retention: what is old enough is forgotten, in small steps, while the hub works.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tripline_journal::{Journal, LogStore, Retention};
use tripline_model::Clock;

use crate::telemetry::METRICS_UPKEEP;

/// How often old records and logs are looked for.
const EVERY: Duration = Duration::from_secs(60);

/// What upkeep works on.
pub(super) struct Upkeep {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) logs: Arc<dyn LogStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) retention: Retention,
    pub(super) keep_logs: Duration,
    pub(super) metrics: PrometheusHandle,
}

impl Upkeep {
    /// Works until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut purge = tokio::time::interval(EVERY);
        let mut fold = tokio::time::interval(METRICS_UPKEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = fold.tick() => self.metrics.run_upkeep(),
                _ = purge.tick() => self.purge().await,
            }
        }
    }

    async fn purge(&self) {
        let now = self.clock.now();
        match self.journal.purge(&self.retention, now).await {
            Ok(purged) if purged.invocations > 0 => {
                tracing::info!(invocations = purged.invocations, "forgot old invocations");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old invocations could not be removed"),
        }
        if let Err(error) = self.logs.purge(now.minus(self.keep_logs)).await {
            tracing::warn!(%error, "old logs could not be removed");
        }
    }
}
