//! How often and how long, in one place; tests hurry.

use std::time::Duration;

/// The consumer's intervals and bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pacing {
    /// Between two commits.
    pub(crate) commit_every: Duration,
    /// Between two measurements of lag and health; whole seconds.
    pub(crate) measure_every: Duration,
    /// How long the way to the hub may be full before partitions are paused.
    pub(crate) pause_after: Duration,
    /// How long receipts are waited for when partitions are taken away or the trigger stops.
    pub(crate) settle_within: Duration,
    /// How long it may take to find out where partitions begin.
    pub(crate) assign_within: Duration,
    /// Before partitions are planned again that could not be.
    pub(crate) plan_again_after: Duration,
    /// Between two questions for topics that cannot be read.
    pub(crate) ask_for_topics_every: Duration,
    /// Before a new consumer is made, at first; doubles while none gets anywhere.
    pub(crate) rebuild_after: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            commit_every: Duration::from_secs(1),
            measure_every: Duration::from_secs(2),
            pause_after: Duration::from_secs(2),
            settle_within: Duration::from_secs(1),
            assign_within: Duration::from_secs(20),
            plan_again_after: Duration::from_secs(5),
            ask_for_topics_every: Duration::from_secs(5),
            rebuild_after: Duration::from_secs(1),
        }
    }
}
