//! What the timer must have done: its schedule is every second, in UTC.

use std::collections::BTreeMap;

use tripline_model::Timestamp;

use super::Evidence;
use crate::facts::Invocation;

/// The schedule's instants lie so far apart, in milliseconds.
const EVERY: i64 = 1000;

/// Only instants of the schedule fire, none of them twice; and where some did not fire, the next that did says how many
/// it stands for.
pub(super) fn ticks(evidence: &Evidence<'_>) -> Vec<String> {
    let (mut instants, mut wrong) = (BTreeMap::new(), Vec::new());
    let all = evidence.facts.invocations.iter();
    for tick in all.filter(|one| one.trigger == "tick") {
        match instant(tick) {
            None => wrong.push(format!("{} is no instant of the schedule", tick.event)),
            Some(at) => {
                if instants.insert(at, tick.stands_for).is_some() {
                    wrong.push(format!("{} fired twice", tick.event));
                }
            }
        }
    }
    let instants: Vec<_> = instants.into_iter().collect();
    for pair in instants.windows(2) {
        let ((before, _), (at, stands_for)) = (pair[0], pair[1]);
        let due = (at - before) / EVERY;
        if due != stands_for {
            wrong.push(format!(
                "{due} ticks were due from {before} to {at}, and the last stands for {stands_for}"
            ));
        }
    }
    wrong
}

/// When it was due, if the schedule has that instant: `tick@TIME`.
fn instant(tick: &Invocation) -> Option<i64> {
    let at = Timestamp::parse(tick.event.strip_prefix("tick@")?)?.as_millis();
    (at % EVERY == 0).then_some(at)
}
