//! The hub's own log and its metrics.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::LogFormat;

/// Bounds of every `_seconds` histogram: from half a millisecond to a day.
const SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 60.0, 600.0, 3_600.0,
    86_400.0,
];

/// Sends the log to stderr. `level` has been checked by the configuration.
pub(crate) fn start_log(format: LogFormat, level: &str) {
    // The scheduler only wakes the cron planner; its own lines tell people nothing.
    let quiet = Targets::new().with_target("tokio_cron_scheduler", LevelFilter::WARN);
    let asked: Targets = level.parse().unwrap_or_else(|_| Targets::new());
    let filter = quiet
        .with_targets(asked.iter())
        .with_default(asked.default_level().unwrap_or(LevelFilter::OFF));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let registry = tracing_subscriber::registry();
    // A second hub in one process (tests) keeps the first one's log.
    let started = match format {
        LogFormat::Text => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry
                .with(lines.with_ansi(colour).with_filter(filter))
                .try_init()
        }
        LogFormat::Json => registry.with(lines.json().with_filter(filter)).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

/// Makes this process count, for `/metrics`.
///
/// # Errors
/// Something else in the process counts already.
pub(crate) fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder()
}

/// How often histograms are folded together, so that they stay small when nobody reads them.
pub(crate) const METRICS_UPKEEP: Duration = Duration::from_secs(10);
