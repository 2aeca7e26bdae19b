//! What can be set.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tripline_model::TriggerName;

/// The bounds of a dispatcher. Those of a function are in [`tripline_model::Function`].
#[derive(Debug, Clone)]
pub struct DispatcherConfig {
    /// Accepted events in any 1 s window, all triggers and the API together.
    pub qps: NonZeroU32,
    /// Percent of `qps` that is kept for push sources (0 to 100): pull sources never use more than the rest. Pull
    /// sources always keep at least one event a second.
    pub push_share_percent: u8,
    /// Accepted events in any 1 s window of single triggers.
    pub trigger_qps: HashMap<TriggerName, NonZeroU32>,
    /// Accepted invocations waiting for their start, all functions together.
    pub max_queued: u64,
    /// Bytes of an event's data and attributes together.
    pub max_event_bytes: u64,
    /// How long a stopping hub waits for running functions before it lets go of them: kills them, or leaves them to a
    /// runtime that outlives it.
    pub drain: Duration,
}

// === impl DispatcherConfig ===

impl DispatcherConfig {
    /// Bounds for tests. What users get by default is in the hub's configuration.
    #[doc(hidden)]
    pub fn for_tests() -> Self {
        Self {
            qps: NonZeroU32::new(1000).expect("not zero"),
            push_share_percent: 20,
            trigger_qps: HashMap::new(),
            max_queued: 1_000_000,
            max_event_bytes: 6 * 1024 * 1024,
            drain: Duration::from_secs(10),
        }
    }
}
