//! When a timer is due: a cron expression in a time zone, with daylight saving rules of its own.
//!
//! A schedule is an *interval* schedule if its hour or minute field holds `*` or a step, else a *fixed-time* schedule.
//! Interval schedules follow the real time that passes: they skip the hour that a clock change leaves out and run
//! through both of the hours that it repeats. Fixed-time schedules follow the wall clock: a time that is left out is
//! made up for at the first instant after the gap, and a time that comes twice counts the first time.

use std::fmt;

use chrono::{DateTime, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use tripline_config::nearest;
use tripline_model::Timestamp;

/// Short names that stand for whole expressions.
const NICKNAMES: [&str; 6] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@hourly",
];

/// Where the search for any occurrence at all begins. The search ends by itself in the year 5000.
const YEAR_ONE: NaiveDateTime = NaiveDate::from_ymd_opt(1, 1, 1)
    .expect("this is a date")
    .and_time(NaiveTime::MIN);

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    text: String,
    cron: Cron,
    zone: Tz,
    follows_wall_clock: bool,
}

/// Why text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ScheduleError {
    /// What is wrong.
    pub(crate) message: String,
    /// What would do.
    pub(crate) help: Option<String>,
}

// === impl Schedule ===

impl Schedule {
    /// Reads an expression of 5 fields, 6 (seconds in front) or 7 (a year behind), or a nickname such as `@daily`.
    pub(crate) fn parse(text: &str, zone: Tz) -> Result<Self, ScheduleError> {
        let text = text.trim();
        check_form(text)?;
        let cron = parse_fields(text).map_err(|error| {
            let why = match wrong_field(text) {
                Some((name, field)) => format!("`{field}` cannot be the {name}"),
                None => error.to_string().replace("CronPattern ", "the expression "),
            };
            let why = why.trim_end_matches('.');
            ScheduleError::new(format!("`{text}` is not a schedule: {why}"), Some(FIELDS))
        })?;
        // The expanded expression, so that nicknames are judged by what they stand for.
        let fields: Vec<&str> = cron.as_str().split_whitespace().collect();
        let first = usize::from(fields.len() > 5);
        let is_interval = fields[first..first + 2]
            .iter()
            .any(|field| field.contains(['*', '/']));
        let schedule = Self {
            text: fields.join(" "),
            cron,
            zone,
            follows_wall_clock: !is_interval,
        };
        if schedule.next_naive(YEAR_ONE).is_none() {
            let message = format!("`{text}` never comes: there is no such date in any year");
            return Err(ScheduleError::new(message, None));
        }
        Ok(schedule)
    }

    /// The zone whose wall clock it reads.
    pub(crate) fn zone(&self) -> Tz {
        self.zone
    }

    /// The expression in its plain form; two schedules with the same text and zone are the same.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The first instant after `after`, or `None` if there is none any more.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let local = self.local(after)?;
        if !self.follows_wall_clock {
            let next = self.cron.find_next_occurrence(&local, false).ok()?;
            return Some(Timestamp::from_millis(next.timestamp_millis()));
        }
        let mut naive = local.naive_local();
        loop {
            naive = self.next_naive(naive)?;
            // In the second of two equal hours the wall clock shows times whose turn is over.
            if let Some(at) = self.instant(naive).filter(|at| *at > after) {
                return Some(at);
            }
        }
    }

    /// The last instant at or before `until`, or `None` if there was none yet.
    pub(crate) fn last_until(&self, until: Timestamp) -> Option<Timestamp> {
        let local = self.local(until)?;
        if !self.follows_wall_clock {
            let last = self.cron.find_previous_occurrence(&local, true).ok()?;
            return Some(Timestamp::from_millis(last.timestamp_millis()));
        }
        let mut naive = local.naive_local();
        if let LocalResult::Ambiguous(first, second) = self.zone.from_local_datetime(&naive)
            && local >= second
        {
            // The wall clock has been ahead of what it shows now: times up to there have had their turn.
            naive += second - first;
        }
        let mut inclusive = true;
        loop {
            naive = self.cron.find_previous_occurrence(&naive, inclusive).ok()?;
            inclusive = false;
            if let Some(at) = self.instant(naive).filter(|at| *at <= until) {
                return Some(at);
            }
        }
    }

    /// How many instants lie after `after` and at or before `until`; stops counting at `cap`.
    pub(crate) fn count(&self, after: Timestamp, until: Timestamp, cap: u64) -> u64 {
        let mut at = after;
        let mut count = 0;
        while count < cap {
            match self.next_after(at) {
                Some(next) if next <= until => (at, count) = (next, count + 1),
                _ => break,
            }
        }
        count
    }

    /// An instant as the zone's wall clock shows it, with its offset.
    pub(crate) fn show(&self, at: Timestamp) -> String {
        self.local(at)
            .map_or_else(|| at.to_string(), |local| local.to_rfc3339())
    }

    /// The whole second that the wall clock shows: occurrences have no finer part, and the search for them may err
    /// where clocks go back if it is given one.
    fn local(&self, at: Timestamp) -> Option<DateTime<Tz>> {
        let utc = DateTime::<Utc>::from_timestamp(at.as_millis().div_euclid(1000), 0)?;
        Some(utc.with_timezone(&self.zone))
    }

    fn next_naive(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&after, false).ok()
    }

    /// When the wall clock first shows `naive`, or jumps over it.
    fn instant(&self, naive: NaiveDateTime) -> Option<Timestamp> {
        let at = match self.zone.from_local_datetime(&naive) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.timestamp(),
            LocalResult::None => self.end_of_gap(naive)?,
        };
        Some(Timestamp::from_millis(at.checked_mul(1000)?))
    }

    /// The second at which the wall clock jumps over `naive`: the first one that shows a later time.
    fn end_of_gap(&self, naive: NaiveDateTime) -> Option<i64> {
        let shows_later = |second: i64| {
            let utc = DateTime::<Utc>::from_timestamp(second, 0)?;
            Some(utc.with_timezone(&self.zone).naive_local() > naive)
        };
        // No offset, and no gap, is as wide as two days.
        let (mut before, mut after) = {
            let middle = naive.and_utc();
            let (from, to) = (middle - Duration::days(2), middle + Duration::days(2));
            (from.timestamp(), to.timestamp())
        };
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if shows_later(middle)? {
                after = middle;
            } else {
                before = middle;
            }
        }
        Some(after)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone)
    }
}

/// Reads the name of a time zone, such as `Europe/Berlin`.
pub(crate) fn parse_zone(name: &str) -> Result<Tz, ScheduleError> {
    name.parse().map_err(|_| {
        let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let help = near.map_or_else(
            || "use a name of the IANA time zone database, such as \"Europe/Berlin\"".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        ScheduleError {
            message: format!("there is no time zone `{name}`"),
            help: Some(help),
        }
    })
}

fn parse_fields(text: &str) -> Result<Cron, CronError> {
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Optional)
        .dom_and_dow(has_star_as_day(text))
        .build();
    parser.parse(text)
}

/// Whether a field for the day begins with `*`. Vixie cron, and who knows it, takes `*/2` for one that leaves the day to
/// the other field as `*` does: both must match. The parser knows only the plain `*`.
fn has_star_as_day(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let first = usize::from(fields.len() > 5);
    let days = [fields.get(first + 2), fields.get(first + 4)];
    days.into_iter()
        .flatten()
        .any(|field| field.starts_with('*'))
}

/// The first field that is wrong by itself, and its name: the parser does not name the field that it rejects.
fn wrong_field(text: &str) -> Option<(&'static str, &str)> {
    const NAMES: [&str; 7] = [
        "second",
        "minute",
        "hour",
        "day of the month",
        "month",
        "day of the week",
        "year",
    ];
    let fields: Vec<&str> = text.split_whitespace().collect();
    let names = &NAMES[usize::from(fields.len() == 5)..];
    let is_wrong = |at: &usize| {
        let mut alone = vec!["*"; fields.len()];
        alone[*at] = fields[*at];
        parse_fields(&alone.join(" ")).is_err()
    };
    let at = (0..fields.len()).find(is_wrong)?;
    Some((names.get(at)?, fields[at]))
}

const FIELDS: &str = "[second] minute hour day-of-month month day-of-week [year], e.g. \"0 2 * * *\" for every day at two";

// === impl ScheduleError ===

impl ScheduleError {
    fn new(message: String, help: Option<&str>) -> Self {
        Self {
            message,
            help: help.map(str::to_owned),
        }
    }
}

/// Mistakes that deserve better words than the parser has for them.
fn check_form(text: &str) -> Result<(), ScheduleError> {
    if text.starts_with('@') {
        let lower = text.to_lowercase();
        if NICKNAMES.contains(&lower.as_str()) {
            return Ok(());
        }
        let known = NICKNAMES.join(", ");
        let help = match nearest(&lower, NICKNAMES) {
            Some(near) => format!("did you mean \"{near}\"? known: {known}"),
            None => format!("known: {known}"),
        };
        let message = format!("`{text}` is not a schedule");
        return Err(ScheduleError::new(message, Some(&help)));
    }
    let fields = text.split_whitespace().count();
    if (5..=7).contains(&fields) {
        return Ok(());
    }
    let count = match fields {
        0 => "is empty".to_owned(),
        1 => "has 1 field".to_owned(),
        _ => format!("has {fields} fields"),
    };
    let message = format!("a schedule has 5, 6 or 7 fields, and this one {count}");
    Err(ScheduleError::new(message, Some(FIELDS)))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod zones;
