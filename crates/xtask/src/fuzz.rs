//! `cargo xtask fuzz`: looks for bytes that the readers of `tests/fuzz` cannot bear, guided by what code they reach.
//!
//! The compiler's own instrumentation is enough for libFuzzer, with a stable compiler too; a build of its own keeps
//! it away from everything else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::process::{self, Limits};
use crate::{repo, signals};

/// Counts how often each edge of the code is passed, and shows what is compared with what.
const INSTRUMENTED: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// What libFuzzer may use: bytes of an input, seconds for it, MiB in all.
const BOUNDS: [&str; 3] = ["-max_len=16384", "-timeout=10", "-rss_limit_mb=2048"];

/// The `fuzz` command line.
#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// Targets, by the names of the folders in tests/fuzz/corpus; all by default
    targets: Vec<String>,
    /// Seconds for each
    #[arg(long, default_value_t = 60)]
    time: u32,
}

/// Fuzzes one target after the other; the first that goes wrong ends it.
pub(crate) fn run(args: &FuzzArgs) -> Outcome<u8> {
    let corpus = repo::root().join("tests/fuzz/corpus");
    let known = names(&corpus)?;
    if let Some(unknown) = args.targets.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        return Err(Failure::new(format!(
            "there is no target {unknown}: there are {known}"
        )));
    }
    let targets = if args.targets.is_empty() {
        &known
    } else {
        &args.targets
    };
    let program = build()?;
    for target in targets {
        eprintln!("==> {target}: {} s", args.time);
        let code = fuzz(&program, target, &corpus.join(target), args.time)?;
        if code != 0 {
            eprintln!(
                "==> {target} went wrong; the input is in {}",
                corpus.join(target).display()
            );
            return Ok(code);
        }
    }
    Ok(0)
}

fn fuzz(program: &Path, target: &str, seeds: &Path, seconds: u32) -> Outcome<u8> {
    // What reaches new code is kept here, so that the next run begins where this one ends.
    let found = repo::tools()?.join("fuzz").join(target);
    fs::create_dir_all(&found).map_err(|error| Failure::file("create", &found, error))?;
    let mut command = process::command(program)?;
    command
        .args([&found, seeds])
        .args(BOUNDS)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", seeds.display()))
        .env("TRIPLINE_FUZZ_TARGET", target);
    let status = process::run(&mut command, Limits::PERSON)?;
    signals::check()?;
    Ok(process::code(status))
}

fn build() -> Outcome<PathBuf> {
    let triple = host()?;
    let target_dir = repo::target_dir()?.join("fuzz");
    eprintln!("==> building the targets with instrumentation (some minutes, once)");
    let mut command = repo::cargo(&[
        "build",
        "--release",
        "-p",
        "tripline-fuzz",
        "--features",
        "guided",
        "--bin",
        "guided",
    ])?;
    // With a triple the flags are not for build scripts, which have nothing that counts for them.
    command
        .args(["--target", &triple, "--target-dir"])
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\u{1f}"));
    if !process::run(&mut command, Limits::STEP)?.success() {
        return signals::check().and(Err(Failure::new("building the targets failed")));
    }
    Ok(target_dir.join(triple).join("release/guided"))
}

/// What rustc builds for here.
fn host() -> Outcome<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| Failure::new(format!("cannot run rustc: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Failure::new("rustc does not say what it builds for"))
}

fn names(corpus: &Path) -> Outcome<Vec<String>> {
    let failed = |error| Failure::file("read", corpus, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(corpus).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
