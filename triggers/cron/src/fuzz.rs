//! The way in for the fuzz targets of `tests/fuzz`: schedules, without a clock that rings.

use tripline_model::Timestamp;

use crate::schedule::{self, parse_zone};

/// A cron expression in a time zone.
#[derive(Debug)]
pub struct Schedule(schedule::Schedule);

// === impl Schedule ===

impl Schedule {
    /// Reads an expression and the name of a zone.
    ///
    /// # Errors
    /// What is wrong, with what would do.
    pub fn parse(text: &str, zone: &str) -> Result<Self, String> {
        let message = |error: schedule::ScheduleError| {
            format!("{}\n{}", error.message, error.help.unwrap_or_default())
        };
        let zone = parse_zone(zone).map_err(message)?;
        schedule::Schedule::parse(text, zone)
            .map(Self)
            .map_err(message)
    }

    /// Its plain form.
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The first instant after `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.0.next_after(after)
    }

    /// The last instant at or before `until`.
    pub fn last_until(&self, until: Timestamp) -> Option<Timestamp> {
        self.0.last_until(until)
    }

    /// How many instants lie after `after` and at or before `until`, up to `cap`.
    pub fn count(&self, after: Timestamp, until: Timestamp, cap: u64) -> u64 {
        self.0.count(after, until, cap)
    }
}
