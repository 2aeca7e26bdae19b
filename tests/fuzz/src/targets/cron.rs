//! Cron expressions in time zones, and the instants they name.

use tripline_cron::fuzz::Schedule;
use tripline_model::Timestamp;

/// Years 1970 to 2100, where zones have their strangest days.
const LATEST_MS: i64 = 4_102_444_800_000;

/// A zone, an expression, and an instant in milliseconds, each on a line.
pub(crate) fn cron(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (zone, expression, at) = (line(), line(), line());
    let at: i64 = at.trim().parse().unwrap_or_default();
    let at = Timestamp::from_millis(at.rem_euclid(LATEST_MS));
    match Schedule::parse(expression, zone) {
        Err(why) => assert!(!why.is_empty() && why.len() <= 1024 + bytes.len()),
        Ok(schedule) => {
            check(&schedule, at);
            let again = Schedule::parse(schedule.text(), zone).expect("its own text");
            assert_eq!(again.text(), schedule.text());
            assert_eq!(again.next_after(at), schedule.next_after(at));
        }
    }
}

fn check(schedule: &Schedule, at: Timestamp) {
    let next = schedule.next_after(at);
    if let Some(next) = next {
        assert!(next > at, "{next} is not after {at}");
        assert_eq!(next.as_millis() % 1000, 0, "ticks are whole seconds");
        assert_eq!(schedule.last_until(next), Some(next));
        assert_eq!(schedule.count(at, next, 10), 1);
        let before = Timestamp::from_millis(next.as_millis() - 1);
        assert_eq!(schedule.last_until(before), schedule.last_until(at));
    }
    if let Some(last) = schedule.last_until(at) {
        assert!(last <= at, "{last} is after {at}");
        assert_eq!(schedule.next_after(last), next);
    }
}
