//! What a campaign did, in figures; and whether it did enough to count.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use tripline_tests::Vitals;

use crate::campaign::Plan;
use crate::facts::Facts;
use crate::history::{Answer, Observations};
use crate::ledger::Ledger;
use crate::moment::{Moments, STAGES};
use crate::strike::Strike;
use crate::world::{FOUND, QPS, Recovered};

/// What a campaign must show of strikes that killed the hub alone.
const WENT_ON: &str = "a run that outlived its hub";
/// What it must show besides: else nothing was seen of the limit over a restart.
const FULL: &str = "a full second over a restart";

/// And this: else the secret was never there to be seen elsewhere.
const KEPT: &str = "a function with its own secret";

/// The figures of a campaign.
#[derive(Debug, Clone)]
pub struct Report {
    pub(crate) plan: Plan,
    pub(crate) took: Duration,
    /// Those that there were.
    pub(crate) triggers: Vec<&'static str>,
    /// Those that could be dealt.
    pub(crate) strikes: Vec<Strike>,
    pub(crate) struck: BTreeMap<Strike, usize>,
    pub(crate) moments: Moments,
    /// Runs that outlived their hub and ended well.
    pub(crate) went_on: usize,
    pub(crate) recovered: Recovered,
    pub(crate) figures: Figures,
    /// What speaks against the hub; empty is good.
    pub wrong: Vec<String>,
}

/// Counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Calls, records, objects.
    pub(crate) sent: [usize; 3],
    pub(crate) receipts: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    /// By trigger.
    pub(crate) accepted: BTreeMap<String, usize>,
    pub(crate) started: usize,
    pub(crate) twice: usize,
    /// By state.
    pub(crate) ended: BTreeMap<String, usize>,
    pub(crate) lives: usize,
    /// Lives in whose first second the limit was used up, with what the life before had accepted in that second.
    pub(crate) full_over_restart: usize,
    /// Looks at which a function had a secret of its own.
    pub(crate) kept: usize,
    /// Positions that the broker was seen to keep.
    pub(crate) positions: usize,
    /// The hub's at the end.
    pub(crate) vitals: Option<Vitals>,
    /// What the data directory takes at the end.
    pub(crate) disk_kib: u64,
    /// The executors' at the end.
    pub(crate) executors: Vec<Vitals>,
}

/// How many lives began in a second in which the limit was used up, before and after together.
fn full_over_restart(facts: &Facts) -> usize {
    let accepted = facts.invocations.iter().map(|one| one.accepted_at);
    let mut times: Vec<i64> = accepted.collect();
    times.sort_unstable();
    let is_full = |begun: &&i64| {
        let mut seconds = times.windows(QPS);
        seconds.any(|second| {
            let (first, last) = (second[0], second[QPS - 1]);
            last - first < 1000 && first < **begun && **begun <= last
        })
    };
    facts.lives.iter().filter(is_full).count()
}

// === impl Figures ===

impl Figures {
    pub(crate) fn of(observed: &Observations, ledger: &Ledger, facts: &Facts) -> Self {
        let answers = || observed.calls.values().flat_map(|call| &call.answers);
        let mut figures = Self {
            sent: [
                observed.calls.len(),
                observed.records.len(),
                observed.objects.len(),
            ],
            receipts: observed.receipts().count(),
            refused: answers().filter(|one| **one == Answer::Refused).count(),
            unknown: answers().filter(|one| **one == Answer::Unknown).count(),
            started: ledger.len(),
            twice: ledger.values().filter(|deeds| deeds.starts > 1).count(),
            lives: facts.lives.len(),
            full_over_restart: full_over_restart(facts),
            kept: observed.kept,
            positions: observed.committed.len(),
            vitals: facts.vitals,
            disk_kib: facts.disk_kib,
            executors: facts.executors.clone(),
            ..Self::default()
        };
        for one in &facts.invocations {
            *figures.accepted.entry(one.trigger.clone()).or_default() += 1;
            *figures.ended.entry(one.state.clone()).or_default() += 1;
        }
        figures
    }

    /// Each figure by its name for people.
    pub(crate) fn lines(&self, line: &mut impl FnMut(&str, usize)) {
        let [calls, records, objects] = self.sent;
        line("calls", calls);
        line("records", records);
        line("objects", objects);
        line("receipts", self.receipts);
        line("refused", self.refused);
        line("without an answer", self.unknown);
        for (trigger, count) in &self.accepted {
            line(&format!("accepted: {trigger}"), *count);
        }
        line("started", self.started);
        line("started twice", self.twice);
        for (state, count) in &self.ended {
            line(state, *count);
        }
        line("positions kept by the broker", self.positions);
        line("full seconds over a restart", self.full_over_restart);
        line("data directory, MiB", self.disk_kib as usize >> 10);
        for (whose, vitals) in self.takers() {
            line(
                &format!("{whose}: memory, MiB"),
                vitals.rss_kib as usize >> 10,
            );
            line(&format!("{whose}: descriptors"), vitals.files);
            line(&format!("{whose}: threads"), vitals.threads as usize);
        }
    }

    /// Who takes something of the machine at the end.
    fn takers(&self) -> impl Iterator<Item = (&'static str, &Vitals)> {
        let executors = self.executors.iter().map(|one| ("executor", one));
        self.vitals.iter().map(|one| ("hub", one)).chain(executors)
    }

    /// Each figure by its name for machines.
    pub(crate) fn add_to(&self, json: &mut Value) {
        let [calls, records, objects] = self.sent;
        json["sent"] = json!({ "calls": calls, "records": records, "objects": objects });
        json["receipts"] = self.receipts.into();
        json["refused"] = self.refused.into();
        json["unknown"] = self.unknown.into();
        json["accepted"] = json!(self.accepted);
        json["started"] = self.started.into();
        json["twice"] = self.twice.into();
        json["ended"] = json!(self.ended);
        json["lives"] = self.lives.into();
        json["positions"] = self.positions.into();
        json["full_over_restart"] = self.full_over_restart.into();
        json["disk_kib"] = self.disk_kib.into();
        for (whose, vitals) in self.takers() {
            json[whose] = json!({
                "memory_kib": vitals.rss_kib,
                "descriptors": vitals.files,
                "threads": vitals.threads,
            });
        }
    }
}

/// What the hubs after such strikes must have found, and have not.
pub(crate) fn not_recovered(strikes: &[Strike], recovered: Recovered) -> Vec<&'static str> {
    let [lost, resumed, over, queued] = recovered;
    let slow = strikes.contains(&Strike::HubThatSpeaksSlowly);
    let hubs_only = strikes.iter().any(|one| one.ends_hubs_only());
    let wanted = [
        ("recovery: lost", lost, true),
        ("recovery: queued", queued, true),
        ("recovery: over", over, slow),
        ("recovery: resumed", resumed, hubs_only),
    ];
    let missed = wanted
        .iter()
        .filter(|(_, count, is_wanted)| *is_wanted && *count == 0);
    missed.map(|(what, ..)| *what).collect()
}

// === impl Report ===

impl Report {
    /// What a campaign must have met to count, and has not. Strikes are dealt so that a few dozen meet everything.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let mut want = |what: &str, count: usize| {
            if count == 0 {
                missed.push(what.to_owned());
            }
        };
        for strike in &self.strikes {
            want(strike.name(), self.struck.contains_key(strike).into());
        }
        for stage in STAGES {
            want(stage, self.moments.of(stage));
        }
        for what in not_recovered(&self.strikes, self.recovered) {
            want(what, 0);
        }
        if self.strikes.iter().any(|one| one.ends_hubs_only()) {
            want(WENT_ON, self.went_on);
            want(FULL, self.figures.full_over_restart);
        }
        let figures = &self.figures;
        want("a call that was refused", figures.refused);
        want("a call without an answer", figures.unknown);
        want(KEPT, figures.kept);
        for state in ["succeeded", "failed", "lost"] {
            want(state, figures.ended.get(state).copied().unwrap_or(0));
        }
        if self.triggers.contains(&"record") {
            want("a position kept by the broker", figures.positions);
        }
        for trigger in &self.triggers {
            want(
                trigger,
                figures.accepted.get(*trigger).copied().unwrap_or(0),
            );
        }
        missed
    }

    fn strikes_made(&self) -> usize {
        self.struck.values().sum()
    }

    /// For people.
    pub fn table(&self) -> String {
        let figures = &self.figures;
        let mut text = format!(
            "{} strikes in {:.0} s, seed {}, {} lives of the hub\n\nstruck\n",
            self.strikes_made(),
            self.took.as_secs_f64(),
            self.plan.seed,
            figures.lives
        );
        let mut line = |name: &str, count: usize| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<32} {count:>8}");
        };
        for (strike, count) in &self.struck {
            line(strike.name(), *count);
        }
        for stage in STAGES {
            line(&format!("met {stage}"), self.moments.of(stage));
        }
        line(WENT_ON, self.went_on);
        for (what, count) in FOUND.iter().zip(self.recovered) {
            line(&format!("recovery: {what}"), count);
        }
        figures.lines(&mut line);
        for wrong in &self.wrong {
            let _ = writeln!(text, "WRONG: {wrong}");
        }
        for missed in self.missed() {
            let _ = writeln!(text, "NEVER MET: {missed}");
        }
        text
    }

    /// For machines: one object.
    pub fn json(&self) -> Value {
        let struck: BTreeMap<&str, usize> = self
            .struck
            .iter()
            .map(|(strike, count)| (strike.name(), *count))
            .collect();
        let met: BTreeMap<&str, usize> = STAGES.map(|stage| (stage, self.moments.of(stage))).into();
        let recovery: BTreeMap<&str, usize> = FOUND.into_iter().zip(self.recovered).collect();
        let mut json = json!({
            "proof": if self.plan.power { "power" } else { "crash" },
            "seed": self.plan.seed,
            "strikes": self.strikes_made(),
            "seconds": self.took.as_secs(),
            "struck": struck,
            "met": met,
            "went_on": self.went_on,
            "recovery": recovery,
            "wrong": self.wrong,
            "never_met": self.missed(),
        });
        self.figures.add_to(&mut json);
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of nothing, with these triggers.
    fn empty(triggers: Vec<&'static str>) -> Report {
        Report {
            plan: Plan {
                cycles: 0,
                seed: 1,
                power: false,
            },
            took: Duration::ZERO,
            triggers,
            strikes: Strike::KILLS.to_vec(),
            struck: BTreeMap::new(),
            moments: Moments::default(),
            went_on: 0,
            recovered: [0; 4],
            figures: Figures::default(),
            wrong: Vec::new(),
        }
    }

    #[test]
    fn what_was_not_met_is_named() {
        let missed = empty(vec!["call", "record"]).missed();
        let strikes = Strike::KILLS.map(Strike::name);
        let others = [
            "recovery: lost",
            "recovery: queued",
            "recovery: over",
            "recovery: resumed",
            WENT_ON,
            FULL,
            "a call that was refused",
            "a call without an answer",
            KEPT,
        ];
        let all = strikes.iter().chain(&STAGES).chain(&others);
        let all = all.chain(&["succeeded", "failed", "lost"]);
        let all = all.chain(&["a position kept by the broker", "call", "record"]);
        assert!(missed.iter().eq(all), "{missed:?}");
        let mut report = empty(vec!["call", "record"]);
        report.figures.accepted.insert("call".to_owned(), 1);
        let missed = report.missed();
        assert!(missed.contains(&"record".to_owned()));
        assert!(!missed.contains(&"call".to_owned()));
    }
}
