//! `cargo xtask deny`: what the workspace is built from, against `deny.toml`: licences, bans, sources, and advisories.
//!
//! cargo-deny is built once into the tools folder. Its database of advisories is a git repository: where that cannot
//! be reached, this part is skipped, aloud.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process::{self, Limits, Logged};
use crate::time::Stopwatch;
use crate::{repo, signals};

const VERSION: &str = "0.20.2";
const BUILD_LIMIT: Duration = Duration::from_secs(1200);
/// How long fetching the database may take.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Runs the checks. What had to be skipped is appended to `skips`.
pub(crate) fn run(skips: &mut Vec<String>) -> Outcome<u8> {
    let program = installed()?;
    let code = check(&program, &["bans", "licenses", "sources"])?;
    if code != 0 {
        return Ok(code);
    }
    match fetch_database(&program) {
        Ok(()) => check(&program, &["advisories"]),
        Err(Failure::Message(why)) => {
            eprintln!("{why}");
            let skip = "SKIPPED: advisories: cargo-deny cannot fetch its database here";
            eprintln!("==> {skip}");
            skips.push(skip.to_owned());
            Ok(0)
        }
        Err(interrupted) => Err(interrupted),
    }
}

fn check(program: &Path, what: &[&str]) -> Outcome<u8> {
    let mut command = deny(program)?;
    command
        .args(["--all-features", "--locked", "check"])
        .args(what);
    let status = process::run(&mut command, Limits::STEP)?;
    signals::check()?;
    Ok(process::code(status))
}

fn fetch_database(program: &Path) -> Outcome<()> {
    let mut command = deny(program)?;
    command
        .args(["fetch", "db"])
        // A host that asks for a login has no database either.
        .env("GIT_TERMINAL_PROMPT", "0");
    let log = repo::tools()?.join("cargo-deny-fetch.log");
    Logged::spawn(&mut command, &log)?.wait_success("fetching advisories", FETCH_LIMIT)
}

fn deny(program: &Path) -> Outcome<Command> {
    let mut command = process::command(program)?;
    command.current_dir(repo::root());
    Ok(command)
}

/// The program in the tools folder, built if it is not there yet.
fn installed() -> Outcome<PathBuf> {
    let tools = repo::tools()?;
    let binary = tools.join(format!("cargo-deny-{VERSION}"));
    if !binary.is_file() {
        build(&tools, &binary)?;
    }
    Ok(binary)
}

fn build(tools: &Path, binary: &Path) -> Outcome<()> {
    let watch = Stopwatch::start();
    eprintln!("==> cargo-deny {VERSION}: building it, once (some minutes)");
    let partial = tempfile::Builder::new()
        .prefix("cargo-deny-partial-")
        .tempdir_in(tools)
        .map_err(|error| Failure::file("create a folder in", tools, error))?;
    let mut command = repo::cargo(&["install", "cargo-deny", "--version", VERSION, "--locked"])?;
    command
        .args(["--no-default-features", "--debug", "--root"])
        .arg(partial.path())
        .arg("--target-dir")
        .arg(partial.path().join("target"))
        // It checks some hundred packages in a second either way; what takes long is building it.
        .envs([
            ("CARGO_PROFILE_DEV_DEBUG", "false"),
            ("CARGO_INCREMENTAL", "0"),
        ]);
    let log = PathBuf::from(format!("{}.log", binary.display()));
    Logged::spawn(&mut command, &log)?.wait_success("building cargo-deny", BUILD_LIMIT)?;
    // A rename: a build that was cut short is never taken for a program.
    fs::rename(partial.path().join("bin/cargo-deny"), binary)
        .map_err(|error| Failure::file("create", binary, error))?;
    eprintln!("==> cargo-deny {VERSION}: built in {}", watch.text());
    Ok(())
}
