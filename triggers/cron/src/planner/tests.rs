//! Plans for ticks in time, late ticks, missed ticks, and clocks that step.

use tripline_config::Document;

use super::*;

const GRACE: Duration = Duration::from_millis(2500);

fn config(text: &str) -> Config {
    Document::new("f", text)
        .read(crate::config::Config::read)
        .expect("a table of the test")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-24T{text}Z")).expect("a time of the test")
}

fn fire(time: &str, missed: u64) -> Plan {
    Plan::Fire(Tick {
        at: at(time),
        missed,
    })
}

fn give_up(time: &str, missed: u64) -> Plan {
    Plan::GiveUp(Tick {
        at: at(time),
        missed,
    })
}

#[test]
fn waits_fires_and_goes_on() {
    let config = config("schedule = '*/10 * * * *'");
    let mut planner = Planner::new(&config, GRACE, at("12:00:00"));
    assert_eq!(planner.plan(at("12:00:00")), Plan::Wait(at("12:10:00")));
    assert_eq!(planner.plan(at("12:09:59.999")), Plan::Wait(at("12:10:00")));
    assert_eq!(planner.plan(at("12:10:00")), fire("12:10:00", 0));
    assert_eq!(
        planner.plan(at("12:10:02.5")),
        fire("12:10:00", 0),
        "a little late"
    );
    planner.done(at("12:10:00"));
    assert_eq!(planner.base(), at("12:10:00"));
    assert_eq!(planner.plan(at("12:10:00")), Plan::Wait(at("12:20:00")));
}

#[test]
fn missed_ticks_become_one() {
    let config = config("schedule = '*/10 * * * *'");
    let mut planner = Planner::new(&config, GRACE, at("10:00:00"));
    assert_eq!(planner.plan(at("12:05:00")), fire("12:00:00", 12));
    planner.done(at("12:00:00"));
    assert_eq!(planner.plan(at("12:05:00")), Plan::Wait(at("12:10:00")));
}

#[test]
fn a_missed_tick_and_one_in_time_are_two() {
    let config = config("schedule = '* * * * * *'");
    let mut planner = Planner::new(&config, GRACE, at("12:00:00"));
    assert_eq!(planner.plan(at("12:00:10")), fire("12:00:07", 7));
    planner.done(at("12:00:07"));
    assert_eq!(planner.plan(at("12:00:10")), fire("12:00:08", 0));
}

#[test]
fn the_deadline_gives_up_what_is_too_late() {
    let config = config("schedule = '0 0 * * *'\nmisfire_deadline = '30m'");
    let planner = Planner::new(&config, GRACE, at("00:00:00").minus(GRACE));
    assert_eq!(planner.plan(at("00:30:00")), fire("00:00:00", 1));
    assert_eq!(planner.plan(at("00:30:00.001")), give_up("00:00:00", 1));
}

#[test]
fn skip_gives_up_all_of_them() {
    let config = config("schedule = '*/10 * * * *'\nmisfire = 'skip'");
    let mut planner = Planner::new(&config, GRACE, at("10:00:00"));
    assert_eq!(planner.plan(at("12:00:01")), give_up("11:50:00", 11));
    planner.done(at("11:50:00"));
    assert_eq!(planner.plan(at("12:00:01")), fire("12:00:00", 0));
}

#[test]
fn a_clock_set_back_repeats_nothing() {
    let config = config("schedule = '* * * * * *'");
    let mut planner = Planner::new(&config, GRACE, at("12:00:00"));
    planner.done(at("12:00:01"));
    assert_eq!(planner.plan(at("09:00:00")), Plan::Wait(at("12:00:02")));
}

#[test]
fn a_year_of_missed_seconds_is_cheap_to_plan() {
    let config = config("schedule = '* * * * * *'");
    let year = Duration::from_secs(365 * 86_400);
    let planner = Planner::new(&config, GRACE, at("12:00:00").minus(year));
    assert_eq!(planner.plan(at("12:00:00")), fire("11:59:57", MAX_COUNTED));
}

#[test]
fn a_schedule_that_has_ended_never_fires() {
    let config = config("schedule = '0 0 0 1 1 * 2020'");
    let planner = Planner::new(&config, GRACE, at("12:00:00"));
    assert_eq!(planner.plan(at("12:00:00")), Plan::Never);
}
