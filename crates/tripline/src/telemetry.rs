//! The hub's own log and its metrics.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::LogFormat;
use crate::metrics;

/// Bounds of every `_seconds` histogram: from half a millisecond to a day.
const SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 60.0, 600.0, 3_600.0,
    86_400.0,
];

/// Bytes of log that a process writes into a file that nobody looks after.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Standard error, up to so many bytes.
struct Bounded(AtomicU64);

/// Sends the log to stderr, which is a file that nobody looks after: at most 4 MiB of it.
pub(crate) fn start_file_log() {
    static FILE: Bounded = Bounded(AtomicU64::new(MAX_FILE_BYTES));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| &FILE)
        .with_ansi(false)
        .with_target(false)
        .with_filter(LevelFilter::INFO);
    if tracing_subscriber::registry()
        .with(lines)
        .try_init()
        .is_err()
    {
        tracing::debug!("the log was started before");
    }
}

/// Sends the log to stderr. `level` has been checked by the configuration.
pub(crate) fn start_log(format: LogFormat, level: &str) {
    // The scheduler only wakes the cron planner; its own lines are of no use to people.
    let quiet = Targets::new()
        .with_target("tokio_cron_scheduler", LevelFilter::WARN)
        // Below that the SDK logs access keys. Who names its crates in `log_level` wants to see everything.
        .with_target("aws_", LevelFilter::INFO);
    let asked: Targets = level.parse().unwrap_or_else(|_| Targets::new());
    let filter = quiet
        .with_targets(asked.iter())
        .with_default(asked.default_level().unwrap_or(LevelFilter::INFO));
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
    let recorder = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder()?;
    metrics::describe();
    Ok(recorder)
}

/// How often histograms are folded together, so that they stay small when nobody reads them.
pub(crate) const METRICS_UPKEEP: Duration = Duration::from_secs(10);

// === impl Bounded ===

impl Write for &Bounded {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let less = |left: u64| left.checked_sub(line.len() as u64);
        if self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
        {
            io::stderr().write_all(line)?;
        } else if self.0.swap(0, Ordering::Relaxed) > 0 {
            io::stderr().write_all(b"the log is full: nothing more is written here\n")?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
