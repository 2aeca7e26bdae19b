//! Histories of the real dispatcher and journal, and of hubs that are broken on purpose.

use tripline_simulation::{Mutant, RULES, campaign, catch, regressions, run};

/// Histories of one test run: every effect of the first lives of 32 scripts, and then some.
const SEEDS: u64 = 10_000;

#[test]
fn no_history_goes_wrong_and_every_class_of_crash_is_met() {
    for seed in regressions() {
        let outcome = run(seed, None, false);
        assert!(
            outcome.wrong.is_empty(),
            "seed {seed}: {:#?}",
            outcome.wrong
        );
    }
    let report = campaign(0..SEEDS, None, &|_| {});
    println!("{} seeds, {} effects", report.seeds, report.effects);
    println!("{}", report.histogram());
    if let Some(failed) = report.failed {
        panic!(
            "seed {}: {:#?}\n`cargo xtask simulate --trace {}` shows all of it; keep it in regressions.txt",
            failed.seed, failed.wrong, failed.seed
        );
    }
    assert_eq!(report.missed(), Vec::<&str>::new(), "classes of crashes");
}

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for seed in (0..SEEDS).step_by(97) {
        let (first, second) = (run(seed, None, true), run(seed, None, true));
        let differs = first.trace.iter().zip(&second.trace).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

/// How many seeds a mutant may survive here; `cargo xtask mutants` has more patience.
const PATIENCE: u64 = 600;

#[test]
fn every_quick_mutant_is_caught() {
    for mutant in Mutant::ALL.into_iter().filter(|one| one.is_quick()) {
        let caught = catch(mutant, 0..PATIENCE);
        let caught = caught.unwrap_or_else(|| panic!("{} survived", mutant.name()));
        let (name, seed, wrong) = (mutant.name(), caught.seed, &caught.wrong[0]);
        println!("{name} by seed {seed}: {wrong}");
        let has_caught = |rule: &str| wrong.starts_with(&format!("{rule}: "));
        assert!(RULES.iter().any(|rule| has_caught(rule)), "{wrong}");
    }
}
