//! `cargo xtask bench`: the hub against the least possible, both built in release mode.

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{Ports, Services};
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
    bench.args(args);
    if wants_services(args) {
        return Services::start(Ports::FREE)?.run(&mut bench, Limits::PERSON);
    }
    let status = process::run(&mut bench, Limits::PERSON)?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

/// Whether Kafka or an S3 store is needed: for these benchmarks, or for all.
fn wants_services(args: &[String]) -> bool {
    let named = |names: &[&str]| args.iter().any(|arg| names.contains(&arg.as_str()));
    let others = [
        "accept", "growth", "cron", "limiter", "spawn", "worker", "start", "logs", "memory",
    ];
    named(&["kafka", "idle"]) || !named(&others)
}
