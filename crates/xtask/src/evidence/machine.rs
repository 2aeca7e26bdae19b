//! Where and of what the evidence is.

use std::fs;
use std::process::Stdio;

use crate::failure::{Failure, Outcome};
use crate::{process, repo};

/// Lines for the head of the page: commit, machine, kernel, file system, compiler.
pub(super) fn lines() -> Outcome<Vec<(&'static str, String)>> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpus = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let memory = read("/proc/meminfo");
    let kib = memory
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<u64>().ok());
    let root = repo::root().display().to_string();
    Ok(vec![
        (
            "commit",
            output("git", &["-C", &root, "rev-parse", "--short", "HEAD"])?,
        ),
        ("day", output("date", &["-u", "+%Y-%m-%d"])?),
        (
            "machine",
            format!("{cpus} cores of {model}, {} GiB", kib.unwrap_or(0) >> 20),
        ),
        ("kernel", output("uname", &["-sr"])?),
        ("file system", output("stat", &["-f", "-c", "%T", &root])?),
        ("compiler", output("rustc", &["--version"])?),
    ])
}

fn output(program: &str, args: &[&str]) -> Outcome<String> {
    let done = process::command(process::require(program)?)?
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("cannot run {program}: {error}")))?;
    let text = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    match done.status.success() {
        true => Ok(text),
        false => Err(Failure::new(format!("{program}: {}", done.status))),
    }
}
