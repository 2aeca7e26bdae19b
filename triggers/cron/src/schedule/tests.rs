//! Schedules on the days when clocks change, and expressions that are none.

use proptest::prelude::*;

use super::*;

fn schedule(text: &str, zone: &str) -> Schedule {
    let zone = parse_zone(zone).expect("a zone of the test");
    Schedule::parse(text, zone).expect("a schedule of the test")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time of the test")
}

/// All instants in `(after, until]`, as the zone's wall clock shows them; they must be the same seen backwards.
fn instants(schedule: &Schedule, after: &str, until: &str) -> Vec<String> {
    let (after, until) = (at(after), at(until));
    let mut forward = Vec::new();
    let mut last = after;
    while let Some(next) = schedule.next_after(last).filter(|next| *next <= until) {
        assert!(next > last, "time goes forward");
        forward.push(schedule.show(next));
        last = next;
    }
    let mut backward = Vec::new();
    let mut first = until;
    while let Some(previous) = schedule.last_until(first).filter(|at| *at > after) {
        assert!(
            previous <= first,
            "{schedule}: {previous} is not before {first}"
        );
        backward.push(schedule.show(previous));
        first = Timestamp::from_millis(previous.as_millis() - 1);
    }
    backward.reverse();
    assert_eq!(forward, backward, "{schedule}");
    assert_eq!(schedule.count(after, until, 1000), forward.len() as u64);
    forward
}

/// Both clock changes of a zone: a fixed time in the gap, a fixed time in the overlap, an interval through both.
struct Edges {
    zone: &'static str,
    gap: (&'static str, [&'static str; 3]),
    overlap: (&'static str, [&'static str; 3]),
    /// `0 */30 * * * *` over the three hours around each change: how many times it fires.
    half_hours: (&'static str, usize, &'static str, usize),
}

const EDGES: [Edges; 6] = [
    Edges {
        zone: "Europe/Berlin",
        gap: (
            "30 2 * * *",
            [
                "2026-03-28T02:30:00+01:00",
                "2026-03-29T03:00:00+02:00",
                "2026-03-30T02:30:00+02:00",
            ],
        ),
        overlap: (
            "30 2 * * *",
            [
                "2026-10-24T02:30:00+02:00",
                "2026-10-25T02:30:00+02:00",
                "2026-10-26T02:30:00+01:00",
            ],
        ),
        half_hours: ("2026-03-29T00:00:00Z", 6, "2026-10-25T00:00:00Z", 6),
    },
    Edges {
        zone: "America/New_York",
        gap: (
            "30 2 * * *",
            [
                "2026-03-07T02:30:00-05:00",
                "2026-03-08T03:00:00-04:00",
                "2026-03-09T02:30:00-04:00",
            ],
        ),
        overlap: (
            "30 1 * * *",
            [
                "2026-10-31T01:30:00-04:00",
                "2026-11-01T01:30:00-04:00",
                "2026-11-02T01:30:00-05:00",
            ],
        ),
        half_hours: ("2026-03-08T06:00:00Z", 6, "2026-11-01T05:00:00Z", 6),
    },
    Edges {
        // Half an hour only: 02:00 to 02:30, and back.
        zone: "Australia/Lord_Howe",
        gap: (
            "10 2 * * *",
            [
                "2026-10-03T02:10:00+10:30",
                "2026-10-04T02:30:00+11:00",
                "2026-10-05T02:10:00+11:00",
            ],
        ),
        overlap: (
            "45 1 * * *",
            [
                "2026-04-04T01:45:00+11:00",
                "2026-04-05T01:45:00+11:00",
                "2026-04-06T01:45:00+10:30",
            ],
        ),
        half_hours: ("2026-10-03T14:30:00Z", 6, "2026-04-04T14:00:00Z", 6),
    },
    Edges {
        // Clocks go back for Ramadan and forward after it.
        zone: "Africa/Casablanca",
        gap: (
            "30 2 * * *",
            [
                "2026-03-21T02:30:00+00:00",
                "2026-03-22T03:00:00+01:00",
                "2026-03-23T02:30:00+01:00",
            ],
        ),
        overlap: (
            "30 2 * * *",
            [
                "2026-02-14T02:30:00+01:00",
                "2026-02-15T02:30:00+01:00",
                "2026-02-16T02:30:00+00:00",
            ],
        ),
        half_hours: ("2026-03-22T01:00:00Z", 6, "2026-02-15T01:00:00Z", 6),
    },
    Edges {
        // The gap is at midnight: the day begins at 01:00.
        zone: "Africa/Cairo",
        gap: (
            "0 0 * * *",
            [
                "2026-04-23T00:00:00+02:00",
                "2026-04-24T01:00:00+03:00",
                "2026-04-25T00:00:00+03:00",
            ],
        ),
        overlap: (
            "30 23 * * *",
            [
                "2026-10-28T23:30:00+03:00",
                "2026-10-29T23:30:00+03:00",
                "2026-10-30T23:30:00+02:00",
            ],
        ),
        half_hours: ("2026-04-23T21:00:00Z", 6, "2026-10-29T19:00:00Z", 6),
    },
    Edges {
        // South of the equator, at midnight again.
        zone: "America/Santiago",
        gap: (
            "0 0 * * *",
            [
                "2026-09-05T00:00:00-04:00",
                "2026-09-06T01:00:00-03:00",
                "2026-09-07T00:00:00-03:00",
            ],
        ),
        overlap: (
            "30 23 * * *",
            [
                "2026-04-03T23:30:00-03:00",
                "2026-04-04T23:30:00-03:00",
                "2026-04-05T23:30:00-04:00",
            ],
        ),
        half_hours: ("2026-09-06T03:00:00Z", 6, "2026-04-05T02:00:00Z", 6),
    },
];

#[test]
fn a_fixed_time_in_the_gap_fires_once_right_after_it() {
    for edges in &EDGES {
        let (text, expected) = edges.gap;
        let timer = schedule(text, edges.zone);
        let before = at(expected[0]).minus(std::time::Duration::from_secs(1));
        let found = instants(&timer, &before.to_string(), expected[2]);
        assert_eq!(found, expected, "{timer}");
    }
}

#[test]
fn a_fixed_time_in_the_overlap_fires_the_first_time_only() {
    for edges in &EDGES {
        let (text, expected) = edges.overlap;
        let timer = schedule(text, edges.zone);
        let before = at(expected[0]).minus(std::time::Duration::from_secs(1));
        let found = instants(&timer, &before.to_string(), expected[2]);
        assert_eq!(found, expected, "{timer}");
    }
}

#[test]
fn an_interval_runs_on_real_time_through_both_changes() {
    let three_hours = std::time::Duration::from_secs(3 * 3600);
    for edges in &EDGES {
        let timer = schedule("0 */30 * * * *", edges.zone);
        let (gap, in_gap, overlap, in_overlap) = edges.half_hours;
        for (from, count) in [(gap, in_gap), (overlap, in_overlap)] {
            let until = at(from).plus(three_hours).to_string();
            let found = instants(&timer, from, &until);
            assert_eq!(found.len(), count, "{timer}: {found:?}");
        }
    }
}

#[test]
fn every_time_in_a_gap_collapses_into_one() {
    let timer = schedule("0 0,10,20 2,3 * * *", "Europe/Berlin");
    let found = instants(&timer, "2026-03-29T00:00:00Z", "2026-03-29T01:10:00Z");
    assert_eq!(
        found,
        ["2026-03-29T03:00:00+02:00", "2026-03-29T03:10:00+02:00"]
    );
}

#[test]
fn lists_of_fixed_times_fire_once_in_the_overlap() {
    let timer = schedule("15,45 1-3 * * *", "America/New_York");
    let found = instants(&timer, "2026-11-01T05:00:00Z", "2026-11-01T08:00:00Z");
    assert_eq!(
        found,
        [
            "2026-11-01T01:15:00-04:00",
            "2026-11-01T01:45:00-04:00",
            "2026-11-01T02:15:00-05:00",
            "2026-11-01T02:45:00-05:00",
        ]
    );
}

#[test]
fn a_day_that_never_was_is_made_up_for() {
    // Samoa went over the date line: there was no 30 December 2011.
    let timer = schedule("0 0 12 30 12 * 2011", "Pacific/Apia");
    let found = instants(&timer, "2011-12-01T00:00:00Z", "2012-02-01T00:00:00Z");
    assert_eq!(found, ["2011-12-31T00:00:00+14:00"]);
}

#[test]
fn five_six_and_seven_fields_and_nicknames() {
    let next = |text| {
        let timer = schedule(text, "UTC");
        timer
            .next_after(at("2026-11-24T21:17:38.243Z"))
            .map(|at| at.to_string())
    };
    for (text, expected) in [
        ("20 21 * * *", "2026-11-24T21:20:00.000Z"),
        ("40 17 21 * * *", "2026-11-24T21:17:40.000Z"),
        ("* * * * * *", "2026-11-24T21:17:39.000Z"),
        ("0 0 0 1 1 * 2030", "2030-01-01T00:00:00.000Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00.000Z"),
        ("0 0 L * *", "2026-11-30T00:00:00.000Z"),
        ("0 0 * * MON#1", "2026-12-07T00:00:00.000Z"),
        ("@daily", "2026-11-25T00:00:00.000Z"),
        ("@Hourly", "2026-11-24T22:00:00.000Z"),
        ("  @yearly ", "2027-01-01T00:00:00.000Z"),
    ] {
        assert_eq!(next(text).as_deref(), Some(expected), "{text}");
    }
    assert_eq!(next("0 0 0 1 1 * 2020"), None, "the year is over");
}

#[test]
fn both_fields_for_the_day_mean_either_or_both_as_in_vixie_cron() {
    for (text, expected) in [
        ("0 0 13 * MON", "2026-11-30"),
        ("0 0 1-31/2 * MON", "2026-11-25"),
        ("0 0 13 * +MON", "2027-09-13"),
        ("0 0 */2 * MON", "2026-12-07"),
        ("0 0 0 */2 * MON", "2026-12-07"),
        ("0 0 0 */2 * MON 2027", "2027-01-11"),
        ("0 0 13 * */5", "2026-12-13"),
        ("0 0 */2 * *", "2026-11-25"),
        ("0 0 * * MON", "2026-11-30"),
        ("0 0 ? * MON", "2026-11-30"),
    ] {
        let timer = schedule(text, "UTC");
        let next = timer.next_after(at("2026-11-24T21:17:38.243Z"));
        let next = next.expect("it comes").to_string();
        assert_eq!(next, format!("{expected}T00:00:00.000Z"), "{text}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    let refused = |text: &str| {
        let error = Schedule::parse(text, Tz::UTC).expect_err("this is no schedule");
        format!("{} | {}", error.message, error.help.unwrap_or_default())
    };
    for (text, words) in [
        ("", "this one is empty"),
        ("* *", "this one has 2 fields"),
        ("* * * * * * * *", "this one has 8 fields"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 2,4,6,9,11 *", "never comes"),
        ("61 * * * *", "is not a schedule: `61` cannot be the minute"),
        ("0 * 25 * * *", "`25` cannot be the hour"),
        ("x * * * *", "is not a schedule"),
        ("*/0 * * * *", "is not a schedule"),
        ("0 0 * * FOO", "`FOO` cannot be the day of the week"),
        ("@dayly", "did you mean \"@daily\"?"),
        ("@reboot", "known: @yearly"),
        ("@every 90s", "known: @yearly"),
    ] {
        let shown = refused(text);
        assert!(shown.contains(words), "{text}: {shown}");
    }
}

#[test]
fn an_unknown_zone_names_the_nearest() {
    let error = parse_zone("Europe/Berln").expect_err("misspelt");
    assert_eq!(
        error.help.as_deref(),
        Some("did you mean \"Europe/Berlin\"?")
    );
    assert!(parse_zone("Nowhere").is_err());
    assert!(parse_zone("../../etc/passwd").is_err());
}

#[test]
fn a_hundred_thousand_missed_instants_are_found_without_walking_them() {
    let timer = schedule("* * * * * *", "Europe/Berlin");
    let until = at("2026-11-24T21:17:38.243Z");
    assert_eq!(timer.last_until(until), Some(at("2026-11-24T21:17:38Z")));
    let after = until.minus(std::time::Duration::from_secs(100_000));
    assert_eq!(timer.count(after, until, 10_000), 10_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Forward and backward agree, at any second of the year, for either kind of schedule, in zones with both changes.
    #[test]
    fn forward_and_backward_agree(
        zone in prop::sample::select(vec!["Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata"]),
        text in prop::sample::select(vec!["30 2 * * *", "0,30 0-3 * * *", "*/20 * * * *", "59 23 * * *", "0 10 0 * * *"]),
        second in 0_i64..365 * 86_400,
    ) {
        let timer = schedule(text, zone);
        let now = Timestamp::from_millis((1_767_225_600 + second) * 1000);
        let next = timer.next_after(now).expect("it comes every day");
        let last = timer.last_until(now).expect("it came every day");
        prop_assert!(last <= now && now < next);
        prop_assert_eq!(timer.next_after(last), Some(next));
        prop_assert_eq!(timer.last_until(next), Some(next));
        let before_next = Timestamp::from_millis(next.as_millis() - 1);
        prop_assert_eq!(timer.last_until(before_next), Some(last));
    }

    /// Whatever is written, reading it ends, and without a panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[-0-9*/,?LW#@a-z ]{0,24}") {
        let _ = Schedule::parse(&text, Tz::UTC);
    }
}
