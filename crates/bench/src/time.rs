//! Wall time that two processes can compare.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
pub(crate) fn micros() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a measurement reads the real clock"
    )]
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds from one moment to another, both in microseconds.
pub(crate) fn millis_between(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}

/// The wall clock, for parts that are given one.
pub(crate) struct RealClock;

impl tripline_model::Clock for RealClock {
    fn now(&self) -> tripline_model::Timestamp {
        tripline_model::Timestamp::from_millis(i64::try_from(micros() / 1000).unwrap_or(i64::MAX))
    }
}
