//! What must hold when everything has settled. Only what the outside world knows, what functions wrote down, and the
//! journal's records are compared: nothing of the hub is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tripline_model::{End, Ending, Invocation, InvocationState, NOT_STARTED, RequestId};

use crate::history::{Occurrence, Way, may_follow};
use crate::ledger::Entry;
use crate::world::World;

/// The rules, as the README names them. What is wrong begins with the name of the rule that it breaks.
pub(crate) const HEARD: &str = "an id that was heard";
pub(crate) const OCCURRENCE: &str = "an occurrence";
pub(crate) const RUN: &str = "a run";
pub(crate) const END: &str = "an end";
pub(crate) const SEEN: &str = "what was seen";
pub(crate) const COMMITTED: &str = "the place to which the log is committed";
pub(crate) const SECOND: &str = "any second";
pub(crate) const END_OF_HISTORY: &str = "the end of the history";

/// All of them.
pub const RULES: [&str; 8] = [
    HEARD,
    OCCURRENCE,
    RUN,
    END,
    SEEN,
    COMMITTED,
    SECOND,
    END_OF_HISTORY,
];

type Wrong = Vec<String>;

/// Something that breaks a rule.
pub(crate) fn against(rule: &str, what: &str) -> String {
    format!("{rule}: {what}")
}

/// Everything that is wrong.
pub(crate) fn check(world: &World, records: &[Invocation]) -> Wrong {
    let mut wrong = world.history().wrong.clone();
    let by_id: BTreeMap<_, _> = records.iter().map(|one| (one.request_id, one)).collect();
    let mut judge = |rule: &str, judge: &dyn Fn(&mut Wrong)| {
        let mut found = Wrong::new();
        judge(&mut found);
        wrong.extend(found.iter().map(|what| against(rule, what)));
    };
    judge(HEARD, &|wrong| receipts(world, &by_id, wrong));
    judge(OCCURRENCE, &|wrong| occurrences(world, records, wrong));
    judge(RUN, &|wrong| runs(world, &by_id, wrong));
    judge(END, &|wrong| {
        for record in records {
            let run = world.ledger().runs.get(&record.request_id).cloned();
            end(record, run.as_ref(), wrong);
        }
    });
    judge(SEEN, &|wrong| seen(world, &by_id, wrong));
    judge(SECOND, &|wrong| limit(world, wrong));
    let mut said = BTreeSet::new();
    wrong.retain(|one| said.insert(one.clone()));
    wrong
}

/// Every id that was handed out is known, and stands for what it was handed out for.
fn receipts(world: &World, by_id: &BTreeMap<RequestId, &Invocation>, wrong: &mut Wrong) {
    for (number, occurrence) in world.history().occurrences.iter().enumerate() {
        for id in &occurrence.ids {
            match by_id.get(id) {
                None => wrong.push(format!(
                    "{id} was handed out for {number}, and is not known"
                )),
                Some(record) if number_of(record) != Some(number) => {
                    wrong.push(format!(
                        "{id} was handed out for {number}, and stands for another"
                    ));
                }
                Some(_) => {}
            }
        }
    }
}

/// Every occurrence was accepted once, or refused with a clear no.
fn occurrences(world: &World, records: &[Invocation], wrong: &mut Wrong) {
    let history = world.history();
    let mut accepted: BTreeMap<usize, Vec<RequestId>> = BTreeMap::new();
    for record in records {
        match number_of(record).and_then(|number| history.occurrences.get(number)) {
            Some(occurrence) if occurrence.function == record.function.as_str() => {}
            _ => wrong.push(format!(
                "{} was accepted, and nobody offered it",
                record.request_id
            )),
        }
        let number = number_of(record).unwrap_or(usize::MAX);
        accepted.entry(number).or_default().push(record.request_id);
    }
    for (number, occurrence) in history.occurrences.iter().enumerate() {
        let ids = accepted.get(&number).map_or(0, Vec::len);
        if ids > 1 {
            wrong.push(format!(
                "{number} ({:?}) was accepted {ids} times",
                occurrence.way
            ));
        }
        if ids == 0 && is_owed(occurrence) {
            wrong.push(format!(
                "{number} ({:?}) was never accepted",
                occurrence.way
            ));
        }
        if ids > 0 && occurrence.is_refused() {
            wrong.push(format!("{number} was refused, and accepted"));
        }
    }
}

/// Whether whoever offers it does not give up before it is accepted.
fn is_owed(occurrence: &Occurrence) -> bool {
    match occurrence.way {
        Way::Key | Way::Notice { .. } | Way::Record { .. } => true,
        Way::Unique => !occurrence.ids.is_empty(),
        Way::Tick { .. } => occurrence.past || !occurrence.ids.is_empty(),
    }
}

/// Nothing ran twice, nothing ran that was not accepted.
fn runs(world: &World, by_id: &BTreeMap<RequestId, &Invocation>, wrong: &mut Wrong) {
    for (id, run) in &world.ledger().runs {
        if run.starts > 1 {
            wrong.push(format!("{id} was started {} times", run.starts));
        }
        match by_id.get(id) {
            None => wrong.push(format!("{id} ran, and was not accepted")),
            Some(record) if number_of(record) != Some(run.occurrence) => {
                wrong.push(format!("{id} ran for another occurrence"));
            }
            Some(_) => {}
        }
    }
}

/// The end that is told is what happened.
fn end(record: &Invocation, run: Option<&Entry>, wrong: &mut Wrong) {
    let id = record.request_id;
    let InvocationState::Ended(end) = record.state else {
        return wrong.push(format!("{id} has no end: {}", record.state));
    };
    let reason = record.ending.as_ref().map_or("", |ending| &ending.reason);
    let ran = record.ending.as_ref().and_then(Ending::ran);
    let truth = run.and_then(|run| run.over.as_ref()).map(|over| over.end);
    let good = match (end, run) {
        (End::Expired | End::Cancelled, run) => run.is_none(),
        (End::Failed, None) => reason == "start_failed",
        // A stop that came between the record of the start and the start.
        (End::Terminated, None) => reason == NOT_STARTED,
        // The start is on disk, and the crash came before the function.
        (End::Lost, None) => true,
        (End::Lost, Some(run)) => run.died,
        (_, Some(_)) => truth == Some(end) && ran != Some(false),
        (_, None) => false,
    };
    if !good {
        wrong.push(format!(
            "{id} ended as {end:?} ({reason}), and its run was {run:?}"
        ));
    }
}

/// What was seen still holds.
fn seen(world: &World, by_id: &BTreeMap<RequestId, &Invocation>, wrong: &mut Wrong) {
    for (id, before) in &world.history().seen {
        let now = by_id.get(id).map(|record| {
            let at = record.ending.as_ref().map(|ending| ending.at);
            (record.state, at)
        });
        if !now.is_some_and(|now| may_follow(*before, now)) {
            wrong.push(format!("{id} was seen as {before:?}, and is {now:?}"));
        }
    }
}

/// No window of one second has more new events than the limit.
fn limit(world: &World, wrong: &mut Wrong) {
    let limit = world.settings.qps.get() as usize;
    for life in &world.history().accepted {
        for (place, first) in life.iter().enumerate() {
            let window = life[place..].iter();
            let within = window.take_while(|at| **at - *first < Duration::from_secs(1));
            let count = within.count();
            if count > limit {
                wrong.push(format!(
                    "{count} events in a second, with a limit of {limit}"
                ));
                break;
            }
        }
    }
}

fn number_of(record: &Invocation) -> Option<usize> {
    record.event.id.parse().ok()
}

#[cfg(test)]
mod tests;
