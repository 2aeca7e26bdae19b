//! Runs simulations: `cargo xtask simulate` and `cargo xtask mutants` call it.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::{Map, Value, json};
use tripline_simulation::{Mutant, campaign, catch, regressions, run};

/// How many seeds may pass before a mutant counts as not caught: four times all scripts with all their crashes, for some
/// need a rare fault at the right place.
const PATIENCE: u64 = 4 * 8192;

/// Seeds between two words of progress.
const PROGRESS: u64 = 500;

/// One seed, one history.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Runs histories with the hub as it is
    Simulate {
        /// How many
        #[arg(long, default_value_t = 10_000)]
        seeds: u64,
        /// The first one
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Run this one only, and print everything that happens
        #[arg(long)]
        trace: Option<u64>,
        /// Run a hub that is broken in this way
        #[arg(long, value_parser = mutant)]
        mutant: Option<Mutant>,
        /// Append the figures as a JSON object to this file
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Runs histories with hubs that are broken on purpose, until each is caught
    Mutants {
        /// Which ones; all by default
        #[arg(value_parser = mutant)]
        mutants: Vec<Mutant>,
        /// Only those that few histories are enough to catch
        #[arg(long)]
        quick: bool,
        /// Append what caught each as a JSON object to this file
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let good = match Cli::parse().job {
        Job::Simulate {
            trace: Some(seed),
            mutant,
            ..
        } => trace(seed, mutant),
        Job::Simulate {
            seeds,
            from,
            mutant,
            json,
            ..
        } => simulate(from..from.saturating_add(seeds), mutant, json.as_deref()),
        Job::Mutants {
            mutants,
            quick,
            json,
        } => {
            let wanted = |one: &Mutant| {
                (mutants.is_empty() || mutants.contains(one)) && (!quick || one.is_quick())
            };
            let wanted: Vec<_> = Mutant::ALL.into_iter().filter(wanted).collect();
            hunt(&wanted, json.as_deref())
        }
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn mutant(name: &str) -> Result<Mutant, String> {
    let names = || Mutant::ALL.map(Mutant::name).join(", ");
    Mutant::parse(name).ok_or_else(|| format!("there is none of that name; there are {}", names()))
}

/// Appends an object, a line; whether that could be done.
fn append(file: Option<&Path>, object: &Value) -> bool {
    let Some(file) = file else { return true };
    let opened = File::options().create(true).append(true).open(file);
    let written = opened.and_then(|mut to| writeln!(to, "{object}"));
    written
        .inspect_err(|error| eprintln!("{} cannot be written: {error}", file.display()))
        .is_ok()
}

/// Runs seeds; whether all went well and every class of crash was met.
fn simulate(range: Range<u64>, mutant: Option<Mutant>, json: Option<&Path>) -> bool {
    let seeds = range.end - range.start;
    if mutant.is_none() {
        let again = regressions();
        println!("{} seeds that once went wrong", again.len());
        if let Some(seed) = again
            .into_iter()
            .find(|seed| !run(*seed, None, false).wrong.is_empty())
        {
            return trace(seed, None);
        }
    }
    let tell = |done: u64| {
        if done.is_multiple_of(PROGRESS) {
            print!("\r{done} of {seeds} seeds");
            // Progress that cannot be shown is no failure.
            let _ = std::io::stdout().flush();
        }
    };
    let report = campaign(range, mutant, &tell);
    println!("\r{} seeds, {} effects", report.seeds, report.effects);
    print!("{}", report.histogram());
    if let Some(failed) = report.failed {
        trace(failed.seed, mutant);
        println!(
            "To keep it, add the line `{} WHAT WAS WRONG` to tests/simulation/regressions.txt",
            failed.seed
        );
        return false;
    }
    for class in report.missed() {
        println!("never met: {class}");
    }
    let figures = json!({
        "proof": "simulation",
        "seeds": report.seeds,
        "effects": report.effects,
        "met": report.classes,
        "wrong": [],
        "never_met": report.missed(),
    });
    append(json, &figures) && report.missed().is_empty()
}

/// Runs one seed and prints all of it; whether it went well.
fn trace(seed: u64, mutant: Option<Mutant>) -> bool {
    let outcome = run(seed, mutant, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("seed {seed}, {:016x}", outcome.hash);
    for wrong in &outcome.wrong {
        println!("WRONG: {wrong}");
    }
    outcome.wrong.is_empty()
}

/// Whether all were caught.
fn hunt(mutants: &[Mutant], json: Option<&Path>) -> bool {
    let (mut survived, mut caught) = (Vec::new(), Map::new());
    println!(
        "{} mutants, each against the checks of a history",
        mutants.len()
    );
    println!(
        "{:<22} {:>9}  caught by the rule, and what it saw",
        "mutant", "at seed"
    );
    for mutant in mutants {
        match catch(*mutant, 0..PATIENCE) {
            Some(outcome) => {
                let wrong = outcome.wrong.first().map_or("", String::as_str);
                let (rule, what) = wrong.split_once(": ").unwrap_or(("no rule", wrong));
                let what: String = what.chars().take(100).collect();
                println!("{:<22} {:>9}  {rule}: {what}", mutant.name(), outcome.seed);
                let by = format!("by \"{rule}\": {what} (seed {})", outcome.seed);
                caught.insert(mutant.name().to_owned(), by.into());
            }
            None => {
                println!(
                    "{:<22} {:>9}  NOTHING, in {PATIENCE} seeds",
                    mutant.name(),
                    "-"
                );
                survived.push(mutant.name());
            }
        }
    }
    let figures = json!({ "proof": "mutants", "caught": caught, "survived": survived });
    append(json, &figures) && survived.is_empty()
}
