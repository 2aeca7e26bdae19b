//! The trigger's table in `tripline.toml`.

use std::time::Duration;

use bytes::Bytes;
use chrono_tz::Tz;
use tripline_config::{Location, Table};

use crate::schedule::{Schedule, ScheduleError, parse_zone};

/// How late a missed tick may still fire, unless the config sets it.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(3600);

/// What the table says.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// When it fires.
    pub(crate) schedule: Schedule,
    /// Each event's bytes; empty if the table has none.
    pub(crate) payload: Bytes,
    /// What they are; `None` without a payload.
    pub(crate) content_type: Option<String>,
    /// What happens to ticks that were missed.
    pub(crate) misfire: Misfire,
    /// A tick later than this is given up.
    pub(crate) deadline: Duration,
}

/// What happens to ticks that were missed: while the hub was down, or because the clock was set forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfire {
    /// The latest fires, in place of all.
    FireOnce,
    /// None fires.
    Skip,
}

// === impl Config ===

impl Config {
    /// Reads the table; `None` if something is wrong, which is recorded then.
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let expression: Option<String> = table.required_such_as("schedule", "\"*/5 * * * *\"");
        let zone: Option<String> = table.optional("timezone");
        let payload: Option<String> = table.optional("payload");
        let content_type: Option<String> = table.optional("content_type");
        let rules = [("fire_once", Misfire::FireOnce), ("skip", Misfire::Skip)];
        let misfire = table.one_of("misfire", &rules, Some(Misfire::FireOnce));
        let deadline = table.or("misfire_deadline", DEFAULT_DEADLINE);
        let (at_schedule, at_zone) = (table.location("schedule"), table.location("timezone"));
        let has_type_only = content_type.is_some() && !table.has("payload");
        table.finish();

        if has_type_only {
            let help = Some("add `payload`, or leave this out".to_owned());
            table.error(
                "content_type",
                "there is no payload that it could describe",
                help,
            );
        }
        if deadline.is_zero() {
            let help = Some("write how late a tick may be, such as \"1m\"".to_owned());
            table.error("misfire_deadline", "every tick would be too late", help);
        }
        let wrong_type = content_type
            .as_deref()
            .is_some_and(|text| !is_header_text(text));
        if wrong_type {
            let help = Some("write it as in \"application/json\"".to_owned());
            table.error("content_type", "this cannot be a content type", help);
        }
        let zone = match zone {
            Some(name) => noted(table, &at_zone, parse_zone(&name)),
            None => Some(Tz::UTC),
        };
        // Without its zone the expression is checked all the same: one run shows all that is wrong.
        let parsed = Schedule::parse(&expression?, zone.unwrap_or(Tz::UTC));
        let schedule = noted(table, &at_schedule, parsed);
        if has_type_only || wrong_type || deadline.is_zero() {
            return None;
        }
        let content_type = content_type.or_else(|| payload.as_deref().map(guess_type));
        zone?;
        Some(Self {
            schedule: schedule?,
            payload: Bytes::from(payload.unwrap_or_default()),
            content_type,
            misfire: misfire?,
            deadline,
        })
    }
}

fn noted<T>(table: &mut Table<'_>, at: &Location, result: Result<T, ScheduleError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(ScheduleError { message, help }) => {
            table.error_at(at, message, help);
            None
        }
    }
}

fn guess_type(payload: &str) -> String {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(payload).is_ok();
    let guess = if is_json {
        "application/json"
    } else {
        "text/plain"
    };
    guess.to_owned()
}

fn is_header_text(text: &str) -> bool {
    let visible = |c: char| c.is_ascii_graphic() || c == ' ';
    (1..=255).contains(&text.len()) && text.contains('/') && text.chars().all(visible)
}

#[cfg(test)]
mod tests;
