//! What the trigger counts, for `/metrics` and for its own status.

use std::sync::atomic::{AtomicU64, Ordering};

use tripline_trigger::TriggerContext;

/// Counters of one run of the trigger.
pub(crate) struct Tally {
    cx: TriggerContext,
    missed: AtomicU64,
    skipped: AtomicU64,
}

// === impl Tally ===

impl Tally {
    pub(crate) fn new(cx: TriggerContext) -> Self {
        cx.fact("missed", 0_u64);
        cx.fact("skipped", 0_u64);
        Self {
            cx,
            missed: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }

    /// Objects without a notification, found by listing.
    pub(crate) fn missed(&self, more: u64) {
        if more > 0 {
            let all = self.missed.fetch_add(more, Ordering::Relaxed) + more;
            self.cx.fact("missed", all);
            let name = self.cx.name().to_string();
            metrics::counter!("tripline_s3_missed_total", "trigger" => name).increment(more);
        }
    }

    /// Notifications, or objects, that can never be accepted.
    pub(crate) fn skipped(&self, more: u64) {
        if more > 0 {
            let all = self.skipped.fetch_add(more, Ordering::Relaxed) + more;
            self.cx.fact("skipped", all);
            let name = self.cx.name().to_string();
            metrics::counter!("tripline_s3_skipped_total", "trigger" => name).increment(more);
        }
    }
}
