//! `cargo xtask bench`: the hub against the least possible, both built in release mode.

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::{process, repo, signals};

/// Builds the hub and the benchmarks, and runs those with `args`.
pub(crate) fn run(args: &[String]) -> Outcome<u8> {
    eprintln!("==> building the hub and the benchmarks in release mode");
    let packages = [
        "build",
        "--release",
        "-p",
        "tripline",
        "-p",
        "tripline-bench",
    ];
    if !process::run(&mut repo::cargo(&packages)?, Limits::STEP)?.success() {
        return signals::check().and(Err(Failure::new("building failed")));
    }
    let program = repo::target_dir()?.join("release/tripline-bench");
    let mut bench = process::command(program)?;
    let status = process::run(bench.args(args), Limits::PERSON)?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
