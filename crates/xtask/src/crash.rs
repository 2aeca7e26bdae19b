//! `cargo xtask crash`: the release binary, killed again and again.

use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{Ports, Services};
use crate::{process, repo, signals};

/// Builds, and runs what kills the hub with `args` and the services.
pub(crate) fn run(args: &[String]) -> Outcome<u8> {
    build()?;
    let mut command = command()?;
    command.args(args);
    Services::start(Ports::FREE)?.run(&mut command, Limits::PERSON)
}

/// Builds the hub in release mode, and what kills it.
pub(crate) fn build() -> Outcome<()> {
    eprintln!("==> building the hub in release mode, and what kills it");
    // All members, as the tests do: a choice of packages would build their dependencies once more.
    for build in [
        &["build", "--release", "-p", "tripline"][..],
        &["build", "--workspace", "--bins"],
    ] {
        if !process::run(&mut repo::cargo(build)?, Limits::STEP)?.success() {
            return signals::check().and(Err(Failure::new("building failed")));
        }
    }
    Ok(())
}

/// The program that kills the hub, with the hub as its argument.
pub(crate) fn command() -> Outcome<Command> {
    let target = repo::target_dir()?;
    let mut command = process::command(target.join("debug/tripline-crash"))?;
    command.env("TRIPLINE_TEST_BIN", target.join("release/tripline"));
    Ok(command)
}
