//! `/metrics`: the list of all metrics, and the values of those that are read only when they are requested.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use tripline_dispatcher::DispatcherHandle;
use tripline_journal::{Health, Journal};
use tripline_model::lock;
use tripline_trigger::{TriggerState, Triggers};

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Every metric with its kind, its labels and its meaning, as in the table of this crate's README.
#[rustfmt::skip]
const METRICS: [(&str, Kind, &str, &str); 27] = [
    ("tripline_accepted_total", Counter, "function, trigger", "events accepted; trigger is empty for calls through the API"),
    ("tripline_recovered_total", Counter, "function", "invocations that earlier lives of the hub left: waiting, running, or found lost"),
    ("tripline_queued", Gauge, "function", "invocations that wait for their start"),
    ("tripline_running", Gauge, "function", "invocations between their start and their end"),
    ("tripline_invocations_ended_total", Counter, "function, state", "invocations that ended, by how"),
    ("tripline_reclaim_pending", Gauge, "function", "invocations that ended, of which something is still alive"),
    ("tripline_rejected_total", Counter, "reason", "offers refused, by why; a pull source offers again"),
    ("tripline_accept_seconds", Histogram, "", "from an admitted batch to its receipts: the journal's flush"),
    ("tripline_start_seconds", Histogram, "", "from the acceptance of an event to the durable start of its run"),
    ("tripline_run_seconds", Histogram, "function", "how long runs took, where that is known"),
    ("tripline_trigger_up", Gauge, "trigger, kind", "1 while the trigger runs without trouble, else 0"),
    ("tripline_trigger_restarts_total", Counter, "trigger, kind", "how often its run ended too early"),
    ("tripline_trigger_rejected_total", Counter, "trigger, kind", "offers of this trigger that were refused"),
    ("tripline_cron_late_seconds", Histogram, "trigger", "from the instant of a tick to its acceptance"),
    ("tripline_cron_missed_total", Counter, "trigger, reason", "ticks that were given up"),
    ("tripline_kafka_lag", Gauge, "trigger", "records between what was accepted and the ends of the partitions"),
    ("tripline_s3_missed_total", Counter, "trigger", "objects that no notification told of, found by listing"),
    ("tripline_s3_skipped_total", Counter, "trigger", "notifications or objects that can never be accepted"),
    ("tripline_journal_up", Gauge, "", "1 while the journal takes writes, else 0 (disk full, or failed)"),
    ("tripline_journal_bytes", Gauge, "", "what the journal takes on disk"),
    ("tripline_data_free_bytes", Gauge, "", "free space on the disk of the data directory"),
    ("tripline_spans_sent_total", Counter, "", "spans of traces that the collector took"),
    ("tripline_spans_dropped_total", Counter, "", "spans, or notes of them, that were dropped: no collector, or too many at once"),
    ("tripline_build_info", Gauge, "version", "always 1"),
    ("process_resident_memory_bytes", Gauge, "", "memory of the hub's own process; functions have their own"),
    ("process_open_fds", Gauge, "", "open files and connections of the hub's own process"),
    ("process_threads", Gauge, "", "threads of the hub's own process"),
];

/// Gives the recorder the kind, the unit and the meaning of every metric.
pub(crate) fn describe() {
    for (name, kind, _, meaning) in METRICS {
        let unit = match name.rsplit('_').next() {
            Some("seconds") => Unit::Seconds,
            Some("bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        match kind {
            Counter => describe_counter!(name, unit, meaning),
            Gauge => describe_gauge!(name, unit, meaning),
            Histogram => describe_histogram!(name, unit, meaning),
        }
    }
}

/// Where the values come from that are read only when they are requested.
pub(crate) struct Sources {
    pub(crate) dispatcher: DispatcherHandle,
    pub(crate) triggers: Triggers,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) data_dir: PathBuf,
    pub(crate) recorder: PrometheusHandle,
}

/// A function that reads these values and renders the text of `/metrics`.
pub(crate) fn text(sources: Sources) -> Arc<dyn Fn() -> String + Send + Sync> {
    // One call at a time: no other one sets values between the reading and the rendering of this one.
    let one_at_a_time = Mutex::new(());
    Arc::new(move || {
        let _guard = lock(&one_at_a_time);
        sources.read();
        sources.recorder.render()
    })
}

// === impl Sources ===

impl Sources {
    fn read(&self) {
        self.dispatcher.show_metrics();
        for one in self.triggers.list() {
            let labels = [("trigger", one.name.to_string()), ("kind", one.kind)];
            let up = one.state == TriggerState::Running;
            gauge!("tripline_trigger_up", &labels).set(flag(up));
            counter!("tripline_trigger_restarts_total", &labels).absolute(one.restarts);
            counter!("tripline_trigger_rejected_total", &labels).absolute(one.rejected);
            let through = [
                ("function", one.function.to_string()),
                ("trigger", one.name.to_string()),
            ];
            counter!("tripline_accepted_total", &through).increment(0);
        }
        let journal_is_well = self.journal.health() == Health::Ok;
        gauge!("tripline_journal_up").set(flag(journal_is_well));
        gauge!("tripline_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        show(
            "tripline_journal_bytes",
            Some(journal_bytes(&self.data_dir)),
        );
        let disk = rustix::fs::statvfs(&self.data_dir);
        let free = disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        show("tripline_data_free_bytes", free.ok());
        show("process_resident_memory_bytes", resident());
        show("process_open_fds", entries("/proc/self/fd"));
        show("process_threads", entries("/proc/self/task"));
    }
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Sets a gauge. A value that cannot be read on this system is left out.
fn show(name: &'static str, value: Option<u64>) {
    if let Some(value) = value {
        gauge!(name).set(value as f64);
    }
}

/// The journal's file, and those that SQLite keeps beside it.
fn journal_bytes(data_dir: &Path) -> u64 {
    let files = fs::read_dir(data_dir).into_iter().flatten().flatten();
    let journal = files.filter(|file| file.file_name().as_encoded_bytes().starts_with(b"journal"));
    let sizes = journal.filter_map(|file| Some(file.metadata().ok()?.len()));
    sizes.sum()
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn entries(folder: &str) -> Option<u64> {
    Some(fs::read_dir(folder).ok()?.count() as u64)
}

#[cfg(test)]
mod tests;
