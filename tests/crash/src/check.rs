//! What must be true, whatever was struck. Each rule says in words what it found against the hub.

mod bounds;
mod data;
mod ticks;

use std::collections::{BTreeMap, BTreeSet};

use self::bounds::bounded;
use self::data::events_are_whole;
use self::ticks::ticks;
use crate::facts::{Facts, Invocation};
use crate::history::Observations;
use crate::ledger::Ledger;
use crate::world::{PRINTS, QPS};

/// How old the last lines of a log may be that a power cut takes, in milliseconds: those of a second, and a slow disk.
const LOG_LAG: i64 = 4000;

/// All that is known at the end.
pub(crate) struct Evidence<'a> {
    pub(crate) observed: &'a Observations,
    pub(crate) ledger: &'a Ledger,
    pub(crate) facts: &'a Facts,
}

type Rule = fn(&Evidence<'_>) -> Vec<String>;

/// Every rule, by the word for what it protects.
const RULES: [(&str, Rule); 18] = [
    ("receipts are known", receipts_are_known),
    ("one start", one_start),
    ("everything ends", everything_ends),
    ("nothing runs that nobody sent", nothing_is_invented),
    ("events are whole", events_are_whole),
    ("one acceptance for one event", one_acceptance),
    ("records and objects are accepted", sources_are_taken),
    ("positions follow", positions_follow),
    ("refused is refused", refused_is_refused),
    ("the limit", the_limit),
    ("states go forward", states_go_forward),
    ("ends are true", ends_are_true),
    ("what ran is said", what_ran_is_said),
    ("logs are whole", logs_are_whole),
    ("ticks", ticks),
    ("reclaimed", reclaimed),
    ("secrets stay secret", secrets_stay_secret),
    ("bounded", bounded),
];

/// Everything that speaks against the hub.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let wrong = RULES.iter().flat_map(|(name, rule)| {
        let found = rule(evidence);
        found.into_iter().map(move |what| format!("{name}: {what}"))
    });
    wrong.collect()
}

/// Every receipt that a client holds is an invocation of what it sent.
fn receipts_are_known(evidence: &Evidence<'_>) -> Vec<String> {
    let known = by_id(evidence);
    let wrong = evidence
        .observed
        .receipts()
        .filter_map(|(mark, id)| match known.get(id) {
            None => Some(format!("{id}, the receipt for {mark}, is forgotten")),
            Some(one) if one.mark != mark => {
                Some(format!("{id} is for {}, not for {mark}", one.mark))
            }
            Some(_) => None,
        });
    wrong.collect()
}

/// No function begins twice for one RequestId; the functions themselves say so.
fn one_start(evidence: &Evidence<'_>) -> Vec<String> {
    let twice = evidence
        .ledger
        .iter()
        .filter(|(_, deeds)| deeds.starts > 1 || deeds.ends > 1);
    twice
        .map(|(id, deeds)| {
            format!(
                "{id} began {} times and ended {} times",
                deeds.starts, deeds.ends
            )
        })
        .collect()
}

/// What was accepted has an end when everything has come to rest; that it has one only, `states_go_forward` says.
fn everything_ends(evidence: &Evidence<'_>) -> Vec<String> {
    let open = evidence.facts.invocations.iter();
    open.filter(|one| one.is_open())
        .map(|one| format!("{} is {}", one.id, one.state))
        .collect()
}

/// What began is an invocation of an event that somebody sent.
fn nothing_is_invented(evidence: &Evidence<'_>) -> Vec<String> {
    let known = by_id(evidence);
    let mut wrong = Vec::new();
    for (id, deeds) in evidence.ledger {
        let sent = deeds.mark == "tick" || evidence.observed.was_sent(&deeds.mark);
        match known.get(id.as_str()) {
            None => wrong.push(format!("{id} began, and is no invocation")),
            Some(one) if one.mark != deeds.mark || !sent => {
                wrong.push(format!(
                    "{id} began with {}, and is for {}",
                    deeds.mark, one.mark
                ));
            }
            Some(_) => {}
        }
    }
    wrong
}

/// There is one invocation for a mark, however often it was offered; callers who repeat a key hear the same receipt.
fn one_acceptance(evidence: &Evidence<'_>) -> Vec<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for one in evidence
        .facts
        .invocations
        .iter()
        .filter(|one| one.trigger != "tick")
    {
        *counts.entry(&one.mark).or_default() += 1;
    }
    let twice = counts.iter().filter(|(_, count)| **count > 1);
    let mut wrong: Vec<String> = twice
        .map(|(mark, count)| format!("{mark} was accepted {count} times"))
        .collect();
    let mut receipts = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (mark, id) in evidence.observed.receipts() {
        receipts.entry(mark).or_default().insert(id);
    }
    let two = receipts.iter().filter(|(_, ids)| ids.len() > 1);
    wrong.extend(two.map(|(mark, ids)| format!("{mark} has the receipts {ids:?}")));
    wrong
}

/// What a broker or a store has said to have is accepted.
fn sources_are_taken(evidence: &Evidence<'_>) -> Vec<String> {
    let accepted = marks(evidence);
    let observed = evidence.observed;
    let sent = observed.records.iter().chain(&observed.objects);
    sent.filter(|(mark, there)| **there && !accepted.contains(mark.as_str()))
        .map(|(mark, _)| format!("{mark} was never accepted"))
        .collect()
}

/// A position at the broker stands behind records only that were accepted by then; a topic of a campaign begins with it.
fn positions_follow(evidence: &Evidence<'_>) -> Vec<String> {
    let invocations = evidence.facts.invocations.iter();
    let accepted: BTreeMap<(i32, i64), i64> = invocations
        .filter_map(|one| Some((one.position()?, one.accepted_at)))
        .collect();
    let mut wrong = Vec::new();
    for ((partition, next), seen) in &evidence.observed.committed {
        let is_safe = |offset: &i64| {
            let accepted = accepted.get(&(*partition, *offset));
            accepted.is_some_and(|at| at <= seen)
        };
        let unsafe_one = (0..*next).find(|offset| !is_safe(offset));
        wrong.extend(unsafe_one.map(|offset| {
            format!("{partition}/{next} was committed when {partition}/{offset} was not accepted")
        }));
    }
    wrong
}

/// `accepted: "no"` leaves nothing behind.
fn refused_is_refused(evidence: &Evidence<'_>) -> Vec<String> {
    let known = marks(evidence);
    let refused = evidence
        .observed
        .calls
        .iter()
        .filter(|(_, call)| call.only_refused());
    let mut wrong: Vec<String> = refused
        .filter(|(mark, _)| known.contains(mark.as_str()))
        .map(|(mark, _)| format!("{mark} was refused, and is an invocation"))
        .collect();
    wrong.extend(
        evidence
            .observed
            .strange
            .iter()
            .map(|answer| format!("an answer of no kind: {answer}")),
    );
    wrong
}

/// No second has more than the limit, whether the hub died in it or not, by the times in its records, which are taken
/// within the admission.
fn the_limit(evidence: &Evidence<'_>) -> Vec<String> {
    let mut times: Vec<i64> = evidence
        .facts
        .invocations
        .iter()
        .map(|one| one.accepted_at)
        .collect();
    times.sort_unstable();
    let over = times
        .windows(QPS + 1)
        .find(|window| window[QPS] - window[0] < 1000);
    over.map(|window| format!("more than {QPS} in the second after {}", window[0]))
        .into_iter()
        .collect()
}

/// No state that was seen goes back, and no end becomes another.
fn states_go_forward(evidence: &Evidence<'_>) -> Vec<String> {
    let known = by_id(evidence);
    let mut wrong: Vec<String> = evidence.observed.went_back.iter().cloned().collect();
    for (id, seen) in &evidence.observed.seen {
        match known.get(id.as_str()) {
            None => wrong.push(format!("{id} was {seen}, and is forgotten")),
            Some(one) if !matches!(seen.as_str(), "accepted" | "running") && one.state != *seen => {
                wrong.push(format!("{id} was {seen}, and is {}", one.state));
            }
            Some(_) => {}
        }
    }
    wrong
}

/// What is said to have gone well has, and what is said to have failed was meant to or was killed.
fn ends_are_true(evidence: &Evidence<'_>) -> Vec<String> {
    let facts = evidence.facts;
    let mut wrong = Vec::new();
    for one in facts.invocations.iter().filter(|one| !one.is_open()) {
        let deeds = evidence.ledger.get(&one.id).cloned().unwrap_or_default();
        let is_meant_to_fail = one.mark.ends_with("-fail");
        let is_true = match one.state.as_str() {
            "succeeded" => deeds.starts == 1 && deeds.ends == 1 && !is_meant_to_fail,
            "failed" if one.signal.is_some() => one.lived_through(&facts.function_deaths),
            "failed" => deeds.ends == 1 && is_meant_to_fail,
            // A hub alone loses only what it was about to hand over.
            "lost" => deeds.starts == 0 || one.lived_through(&facts.executor_deaths),
            _ => false,
        };
        if !is_true {
            wrong.push(format!(
                "{} for {} is {}, its function did {deeds:?}",
                one.id, one.mark, one.state
            ));
        }
    }
    wrong
}

/// `ran` is `yes` only where function code ran, and `no` only where none did.
fn what_ran_is_said(evidence: &Evidence<'_>) -> Vec<String> {
    let invocations = evidence.facts.invocations.iter();
    let wrong = invocations.filter(|one| {
        let ran = evidence.ledger.contains_key(&one.id);
        match one.ran.as_str() {
            // A function may be killed before its first deed.
            "yes" => !ran && one.signal.is_none(),
            "no" => ran,
            _ => one.state != "lost" && !one.is_open(),
        }
    });
    wrong
        .map(|one| format!("{} is {}, ran: {}", one.id, one.state, one.ran))
        .collect()
}

/// What has succeeded, or failed as it was to, has every line once and in order. What has not has the beginning of
/// that; if its executor lived, with every line that it is known to have printed. A power cut may take those of the last
/// moments.
fn logs_are_whole(evidence: &Evidence<'_>) -> Vec<String> {
    let facts = evidence.facts;
    let mut wrong = Vec::new();
    for one in &facts.invocations {
        let Some(printed) = &one.printed else {
            continue;
        };
        let was_cut = |cut: &i64| (0..LOG_LAG).contains(&(cut - one.ended_at));
        let deeds = evidence.ledger.get(&one.id).cloned().unwrap_or_default();
        let least = match one.state.as_str() {
            _ if facts.cuts.iter().any(was_cut) => [0, 0],
            "lost" => [0, 0],
            _ if deeds.ends > 0 => PRINTS.map(<[_]>::len),
            _ => [deeds.halves, 0],
        };
        let is_good = |stream: usize| {
            let (printed, meant) = (&printed[stream], PRINTS[stream]);
            let begins = meant.iter().zip(printed).all(|(meant, line)| meant == line);
            begins && (least[stream]..=meant.len()).contains(&printed.len())
        };
        if !(is_good(0) && is_good(1)) {
            wrong.push(format!(
                "{} is {} and printed {printed:?}",
                one.id, one.state
            ));
        }
    }
    wrong
}

/// Nothing of what has ended is alive right after its end, unless the hub says that something is; in the end nothing is
/// alive, on disk, or in a control group.
fn reclaimed(evidence: &Evidence<'_>) -> Vec<String> {
    let facts = evidence.facts;
    let outlived = evidence.observed.outlived.iter();
    let outlived = outlived.map(|id| format!("{id} had ended, and something of it was alive"));
    let alive = facts
        .alive
        .iter()
        .map(|pid| format!("the process {pid} outlived its invocation"));
    let scratch = facts.scratch.iter().map(|path| format!("{path} is left"));
    let groups = facts.groups.iter().map(|path| format!("{path} is left"));
    let left = alive.chain(scratch).chain(groups);
    outlived.chain(left).collect()
}

/// No secret is where it need not be: not on the disk, in no answer, in no log, at no other process.
fn secrets_stay_secret(evidence: &Evidence<'_>) -> Vec<String> {
    let search = &evidence.facts.search;
    let nothing = (search.searched == 0).then(|| "nothing was searched".to_owned());
    let leaks = evidence.observed.leaks.iter().chain(&search.leaks);
    nothing.into_iter().chain(leaks.cloned()).collect()
}

fn marks<'a>(evidence: &Evidence<'a>) -> BTreeSet<&'a str> {
    let invocations = evidence.facts.invocations.iter();
    invocations.map(|one| one.mark.as_str()).collect()
}

fn by_id<'a>(evidence: &Evidence<'a>) -> BTreeMap<&'a str, &'a Invocation> {
    let invocations = evidence.facts.invocations.iter();
    invocations.map(|one| (one.id.as_str(), one)).collect()
}

#[cfg(test)]
mod tests;
