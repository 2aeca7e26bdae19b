//! Many histories, on as many threads as the machine has cores.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::aftermath::{CLASSES, Classes};
use crate::mutant::Mutant;
use crate::run::{Outcome, run};

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Report {
    /// Histories.
    pub seeds: u64,
    /// Effects of all of them.
    pub effects: u64,
    /// What their crashes were like.
    pub classes: Classes,
    /// The first that went wrong, if any did.
    pub failed: Option<Outcome>,
}

impl Report {
    /// Classes that none of the crashes was of: what they stand for was not tried.
    pub fn missed(&self) -> Vec<&'static str> {
        let met = |class: &&str| self.classes.get(class).is_some_and(|count| *count > 0);
        CLASSES.into_iter().filter(|class| !met(class)).collect()
    }

    /// How often each class was met, a line each.
    pub fn histogram(&self) -> String {
        let count = |class: &str| self.classes.get(class).copied().unwrap_or(0);
        let lines = CLASSES.map(|class| format!("  {:>9}  {class}\n", count(class)));
        lines.concat()
    }

    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.effects += outcome.effects;
        for (class, count) in &outcome.classes {
            *self.classes.entry(class).or_default() += count;
        }
        let first = |failed: &Outcome| failed.seed <= outcome.seed;
        if !outcome.wrong.is_empty() && !self.failed.as_ref().is_some_and(first) {
            self.failed = Some(outcome);
        }
    }
}

/// Runs seeds until one goes wrong; `tell` hears of each that is done.
pub fn campaign(seeds: Range<u64>, mutant: Option<Mutant>, tell: &(dyn Fn(u64) + Sync)) -> Report {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let report = Mutex::new(Report::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let outcome = run(seed, mutant, false);
            stop.fetch_or(!outcome.wrong.is_empty(), Ordering::Relaxed);
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            report.add(outcome);
            tell(report.seeds);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The first of `seeds` that shows the mutant, and what was wrong there.
pub fn catch(mutant: Mutant, seeds: Range<u64>) -> Option<Outcome> {
    campaign(seeds, Some(mutant), &|_| {}).failed
}

/// Seeds that once went wrong: a number a line, and what was found.
pub fn regressions() -> Vec<u64> {
    let lines = include_str!("../regressions.txt").lines();
    let seed = |line: &str| line.split_whitespace().next()?.parse().ok();
    lines.filter_map(seed).collect()
}
