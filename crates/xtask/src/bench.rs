//! `cargo xtask bench`: the hub against the least possible, both built in release mode.

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{Ports, Services};
use crate::{peers, process, repo, signals};

/// Builds the hub and the benchmarks, and runs those with `args`.
pub(crate) fn run(args: &[String]) -> Outcome<u8> {
    eprintln!("==> building the hub and the benchmarks in release mode");
    // All members: a choice of packages would build their dependencies once more.
    let build = ["build", "--release", "--workspace"];
    if !process::run(&mut repo::cargo(&build)?, Limits::STEP)?.success() {
        return signals::check().and(Err(Failure::new("building failed")));
    }
    let program = repo::target_dir()?.join("release/tripline-bench");
    let mut bench = process::command(program)?;
    bench.args(args);
    let names = names(args);
    if names.is_empty() || names.contains(&"peers") {
        peers::provide(&mut bench)?;
    }
    if wants_services(args) {
        return Services::start(Ports::FREE)?.run(&mut bench, Limits::PERSON);
    }
    let status = process::run(&mut bench, Limits::PERSON)?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

/// The benchmarks that are named.
fn names(args: &[String]) -> Vec<&str> {
    let all = [
        "accept", "growth", "kafka", "cron", "limiter", "idle", "spawn", "worker", "start", "logs",
        "memory", "peers",
    ];
    let args = args.iter().map(String::as_str);
    args.filter(|arg| all.contains(arg)).collect()
}

/// Whether Kafka or an S3 store is needed: for these benchmarks, or for all.
fn wants_services(args: &[String]) -> bool {
    let names = names(args);
    names.is_empty() || names.contains(&"kafka") || names.contains(&"idle")
}
