//! `cargo xtask evidence`: runs every proof, and writes what came of them to `tests/EVIDENCE.md`.

mod machine;
mod page;
mod suite;

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{Ports, Services};
use crate::{crash, process, repo, signals};

/// The `evidence` command line.
#[derive(Args)]
pub(crate) struct EvidenceArgs {
    /// Strikes under load
    #[arg(long, default_value_t = 500)]
    cycles: u64,
    /// Power cuts
    #[arg(long, default_value_t = 50)]
    cuts: u64,
    /// Simulated histories
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// Write the page again out of objects that were written before, with their commit and machine, and prove nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cycles", "cuts", "seeds"])]
    from: Option<std::path::PathBuf>,
}

/// Runs all, then writes the page.
pub(crate) fn run(args: &EvidenceArgs) -> Outcome<u8> {
    let page = repo::root().join("tests/EVIDENCE.md");
    let kept = repo::tools()?.join("evidence.jsonl");
    let file = args.from.as_deref().unwrap_or(&kept);
    if args.from.is_none() {
        let machine = json!({ MACHINE: machine::lines()? });
        fs::write(file, format!("{machine}\n"))
            .map_err(|error| Failure::file("create", file, error))?;
        prove(args, file)?;
    }
    let all = read(file)?;
    let Some((machine, proofs)) = of_a_machine(&all) else {
        let what = "does not begin with where and of what its figures are";
        return Err(Failure::new(format!("{} {what}", file.display())));
    };
    let text = page::of(&machine, proofs);
    fs::write(&page, text).map_err(|error| Failure::file("write", &page, error))?;
    eprintln!("==> written: {}", page.display());
    Ok(0)
}

/// The first object's only field: where and of what the figures are that follow.
const MACHINE: &str = "machine";

/// The lines for the head of the page, and the proofs.
fn of_a_machine(all: &[Value]) -> Option<(page::Lines<'_>, &[Value])> {
    let (first, proofs) = all.split_first()?;
    let lines = first[MACHINE].as_array()?.iter();
    let lines = lines.map(|line| Some((line.get(0)?.as_str()?, line.get(1)?.as_str()?)));
    Some((lines.collect::<Option<_>>()?, proofs))
}

fn prove(args: &EvidenceArgs, file: &Path) -> Outcome<()> {
    let json = ["--json".to_owned(), file.display().to_string()];
    let simulation = repo::target_dir()?.join("debug/tripline-simulation");
    crash::build()?;
    let mut strikes = crash::command()?;
    strikes
        .args(["--cycles", &args.cycles.to_string()])
        .args(&json);
    let mut every_step = crash::command()?;
    every_step.arg("--every-step").args(&json);
    let mut simulate = process::command(&simulation)?;
    simulate
        .args(["simulate", "--seeds", &args.seeds.to_string()])
        .args(&json);
    let mut mutants = process::command(&simulation)?;
    mutants.arg("mutants").args(&json);
    let mut cuts = crash::command()?;
    cuts.args(["--power", "--cycles", &args.cuts.to_string()])
        .args(&json);
    let services = Services::start(Ports::FREE)?;
    for (what, command) in [
        ("strikes under load", &mut strikes),
        ("a kill at every step", &mut every_step),
        ("power cuts", &mut cuts),
        ("simulated histories", &mut simulate),
        ("mutants", &mut mutants),
    ] {
        one(&services, what, command)?;
    }
    suite::prove(&services, file)
}

fn one(services: &Services, what: &str, command: &mut Command) -> Outcome<()> {
    eprintln!("==> {what}");
    let code = services.run(command, Limits::PERSON)?;
    signals::check()?;
    match code {
        0 => Ok(()),
        _ => Err(Failure::new(format!("{what}: this proof failed"))),
    }
}

fn read(file: &Path) -> Outcome<Vec<Value>> {
    let text = fs::read_to_string(file).map_err(|error| Failure::file("read", file, error))?;
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            serde_json::from_str(line)
                .map_err(|error| Failure::new(format!("{}: {error}: {line}", file.display())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_without_a_machine_are_refused() {
        let proof = json!({ "proof": "crash" });
        assert!(of_a_machine(&[]).is_none());
        assert!(of_a_machine(std::slice::from_ref(&proof)).is_none());
        let machine = json!({ MACHINE: [("commit", "031fdcb"), ("day", "2026-11-30")] });
        let all = [machine, proof];
        let (lines, proofs) = of_a_machine(&all).unwrap();
        assert_eq!(lines, [("commit", "031fdcb"), ("day", "2026-11-30")]);
        assert_eq!(proofs, &all[1..]);
    }
}
