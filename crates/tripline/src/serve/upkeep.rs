//! Retention: what is old enough is forgotten, in small steps, while the hub works.

use std::convert::Infallible;
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
    /// Works until `stop`: also in the middle of a removal, which the next life goes on with.
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
        let mut due = tokio::time::interval(EVERY);
        loop {
            due.tick().await;
            self.purge().await;
        }
    }

    async fn purge(&self) {
        let now = self.clock.now();
        // Whole files: that is soon done.
        if let Err(error) = self.logs.purge(now.minus(self.keep_logs)).await {
            tracing::warn!(%error, "old logs could not be removed");
        }
        match self.journal.purge(&self.retention, now).await {
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
}
