//! `cargo xtask simulate` and `cargo xtask mutants`: both are jobs of the simulation, which is built as for tests.

use crate::failure::Outcome;
use crate::process::Limits;
use crate::{process, repo, signals};

/// Builds the simulation and runs one of its jobs with `args`.
pub(crate) fn run(job: &str, args: &[String]) -> Outcome<u8> {
    let build = ["run", "--quiet", "-p", "tripline-simulation", "--", job];
    let mut command = repo::cargo(&build)?;
    let status = process::run(command.args(args), Limits::PERSON)?;
    signals::check()?;
    Ok(process::code(status))
}
