//! Every zone's clock changes, against an oracle that knows no cron: it looks at the wall clock minute by minute.

use std::collections::HashSet;

use chrono::{Datelike, Offset, Timelike};

use super::*;

const HOUR: i64 = 3600;
const MINUTE: i64 = 60;

/// The years whose clock changes are looked at; the tables of zones end in 2037, rules that go on repeat.
const YEARS: std::ops::Range<i32> = 1970..2038;

/// A schedule, and what it means, written down a second time.
struct Case {
    text: &'static str,
    matches: fn(&NaiveDateTime) -> bool,
}

/// Follow the wall clock: hour and minute are plain numbers, lists or ranges.
const FIXED_TIMES: [Case; 7] = [
    Case {
        text: "30 2 * * *",
        matches: |at| at.hour() == 2 && at.minute() == 30,
    },
    Case {
        text: "0 0 * * *",
        matches: |at| at.hour() == 0 && at.minute() == 0,
    },
    Case {
        text: "30 1,23 * * *",
        matches: |at| matches!(at.hour(), 1 | 23) && at.minute() == 30,
    },
    Case {
        text: "15,45 0-3 * * *",
        matches: |at| at.hour() <= 3 && matches!(at.minute(), 15 | 45),
    },
    Case {
        text: "10 0-23 * * *",
        matches: |at| at.minute() == 10,
    },
    Case {
        text: "20 0-4 * * SUN",
        matches: |at| at.hour() <= 4 && at.minute() == 20 && at.weekday() == chrono::Weekday::Sun,
    },
    Case {
        text: "0 12 30 * *",
        matches: |at| at.day() == 30 && at.hour() == 12 && at.minute() == 0,
    },
];

/// Follow the time that passes: hour or minute holds `*` or a step.
const INTERVALS: [Case; 6] = [
    Case {
        text: "*/20 * * * *",
        matches: |at| at.minute() % 20 == 0,
    },
    Case {
        text: "7 * * * *",
        matches: |at| at.minute() == 7,
    },
    Case {
        text: "*/15 0-3 * * *",
        matches: |at| at.hour() <= 3 && at.minute() % 15 == 0,
    },
    Case {
        text: "30 */2 * * *",
        matches: |at| at.hour() % 2 == 0 && at.minute() == 30,
    },
    Case {
        text: "* 2 * * *",
        matches: |at| at.hour() == 2,
    },
    Case {
        text: "*/30 * * * SUN",
        matches: |at| at.minute() % 30 == 0 && at.weekday() == chrono::Weekday::Sun,
    },
];

/// A moment at which a zone's clocks are changed, by its first second; offsets in seconds.
#[derive(Clone, Copy)]
struct Change {
    at: i64,
    before: i32,
    after: i32,
}

/// What a wall clock shows at each minute, some hours around a change.
struct WallClock {
    begins: i64,
    shown: Vec<NaiveDateTime>,
}

fn offset(zone: Tz, second: i64) -> i32 {
    let utc = DateTime::<Utc>::from_timestamp(second, 0).expect("a year of the test");
    zone.offset_from_utc_datetime(&utc.naive_utc())
        .fix()
        .local_minus_utc()
}

fn shown(zone: Tz, second: i64) -> NaiveDateTime {
    let local = second + i64::from(offset(zone, second));
    DateTime::<Utc>::from_timestamp(local, 0)
        .expect("a year of the test")
        .naive_utc()
}

/// The changes of a zone that fall on whole minutes.
fn changes(zone: Tz) -> Vec<Change> {
    let new_year = |year| {
        NaiveDate::from_ymd_opt(year, 1, 1)
            .expect("a date")
            .and_time(NaiveTime::MIN)
    };
    let (mut from, until) = (
        new_year(YEARS.start).and_utc().timestamp(),
        new_year(YEARS.end).and_utc().timestamp(),
    );
    let mut found = Vec::new();
    let mut before = offset(zone, from);
    while from < until {
        // The shortest time between two changes is that of Ramadan.
        let to = from + 5 * 24 * HOUR;
        if offset(zone, to) != before {
            let (mut low, mut high) = (from, to);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if offset(zone, middle) == before {
                    low = middle
                } else {
                    high = middle
                }
            }
            let after = offset(zone, high);
            if high % MINUTE == 0 && before % 60 == 0 && after % 60 == 0 {
                found.push(Change {
                    at: high,
                    before,
                    after,
                });
            }
            before = offset(zone, to);
        }
        from = to;
    }
    found
}

// === impl WallClock ===

impl WallClock {
    fn around(zone: Tz, change: Change) -> Self {
        // What the clock showed before it was set back has had its turn.
        let set_by = i64::from(change.after - change.before).abs();
        let (begins, ends) = (change.at - 4 * HOUR - set_by, change.at + 5 * HOUR);
        let minutes = 0..=(ends - begins) / MINUTE;
        let shown = minutes
            .map(|minute| shown(zone, begins + minute * MINUTE))
            .collect();
        Self { begins, shown }
    }

    /// All minutes of `(after, until]` at which the clock shows what is meant.
    fn interval(&self, case: &Case, after: i64, until: i64) -> Vec<i64> {
        self.minutes()
            .filter(|(at, shown)| (after + 1..=until).contains(at) && (case.matches)(shown))
            .map(|(at, _)| at)
            .collect()
    }

    /// All minutes of `(after, until]` at which the clock for the first time shows what is meant, or is past it.
    fn fixed_time(&self, case: &Case, after: i64, until: i64) -> Vec<i64> {
        let mut highest = self.shown[0];
        let mut fired = Vec::new();
        for (at, shown) in self.minutes() {
            let mut is_due = false;
            while highest < shown {
                highest += Duration::minutes(1);
                is_due |= (case.matches)(&highest);
            }
            if is_due && (after + 1..=until).contains(&at) {
                fired.push(at);
            }
        }
        fired
    }

    fn minutes(&self) -> impl Iterator<Item = (i64, NaiveDateTime)> {
        let at = (self.begins..).step_by(60);
        at.zip(self.shown.iter().copied())
    }
}

/// The same out of the schedule under test, forwards; and backwards it must agree with itself.
fn asked(schedule: &Schedule, after: i64, until: i64) -> Vec<i64> {
    let at = |second: i64| Timestamp::from_millis(second * 1000);
    let mut found = Vec::new();
    let mut last = at(after);
    while let Some(next) = schedule.next_after(last).filter(|next| *next <= at(until)) {
        assert!(next > last, "{schedule}: {next} does not lie after {last}");
        let (here, just_before) = (
            schedule.last_until(next),
            Timestamp::from_millis(next.as_millis() - 1),
        );
        assert_eq!(
            here,
            Some(next),
            "{schedule}: backwards from the instant itself"
        );
        if last != at(after) {
            assert_eq!(
                schedule.last_until(just_before),
                Some(last),
                "{schedule}: backwards from {next}"
            );
        }
        found.push(next.as_millis() / 1000);
        last = next;
    }
    found
}

fn check(zone: Tz, change: Change) {
    let clock = WallClock::around(zone, change);
    let rows = |instants: &[i64]| -> Vec<String> {
        let row = |at: &i64| {
            format!(
                "{} ({})",
                Timestamp::from_millis(at * 1000),
                shown(zone, *at)
            )
        };
        instants.iter().map(row).collect()
    };
    let compare = |case: &Case, expected: Vec<i64>, after: i64, until: i64| {
        let schedule = Schedule::parse(case.text, zone).expect("a schedule of the test");
        let found = asked(&schedule, after, until);
        let change = Timestamp::from_millis(change.at * 1000);
        assert_eq!(
            rows(&found),
            rows(&expected),
            "{schedule}, clocks change at {change}"
        );
    };
    for case in &FIXED_TIMES {
        let (after, until) = (change.at - 3 * HOUR, change.at + 5 * HOUR);
        compare(case, clock.fixed_time(case, after, until), after, until);
    }
    for case in &INTERVALS {
        let (after, until) = (change.at - 2 * HOUR, change.at + 4 * HOUR);
        compare(case, clock.interval(case, after, until), after, until);
    }
}

/// Every kind of change that ever was in any zone (from which offset to which, at what time of the day), and the last
/// change of every zone.
#[test]
fn every_zone_agrees_with_a_look_at_the_clock() {
    let mut seen = HashSet::new();
    let (mut zones, mut kinds) = (0, 0);
    for zone in chrono_tz::TZ_VARIANTS {
        let changes = changes(zone);
        zones += usize::from(!changes.is_empty());
        for (left, change) in changes
            .iter()
            .enumerate()
            .map(|(n, one)| (changes.len() - n - 1, one))
        {
            let time_of_day = (change.at + i64::from(change.before)).rem_euclid(24 * HOUR);
            let is_new = seen.insert((change.before, change.after, time_of_day));
            kinds += usize::from(is_new);
            if is_new || left == 0 {
                check(zone, *change);
            }
        }
    }
    assert!(
        zones > 400 && kinds > 200,
        "{zones} zones, {kinds} kinds of change"
    );
}

/// The zones with the oddest rules, in all their years.
#[test]
fn the_odd_ones_agree_in_every_year() {
    let odd = [
        chrono_tz::America::New_York,
        chrono_tz::Australia::Lord_Howe,
        chrono_tz::Africa::Cairo,
        chrono_tz::Pacific::Apia,
        chrono_tz::Africa::Casablanca,
        chrono_tz::Europe::Dublin,
    ];
    for zone in odd {
        let changes = changes(zone);
        assert!(!changes.is_empty(), "{zone} has changes");
        changes.into_iter().for_each(|change| check(zone, change));
    }
}
