//! `cargo xtask crash`: the release binary, killed again and again.

use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{Ports, Services};
use crate::{process, release, repo, signals};

/// Builds, and runs what kills the hub with `args` and the services.
pub(crate) fn run(args: &[String]) -> Outcome<u8> {
    build()?;
    let mut command = command()?;
    command.args(args);
    Services::start(Ports::FREE)?.run(&mut command, Limits::PERSON)
}

/// Builds the hub in release mode, and what kills it.
pub(crate) fn build() -> Outcome<()> {
    release::build(&[])?;
    eprintln!("==> building what kills it");
    // All members, as the tests do: a choice of packages would build their dependencies once more.
    let mut bins = repo::cargo(&["build", "--workspace", "--bins"])?;
    match process::run(&mut bins, Limits::STEP)?.success() {
        true => Ok(()),
        false => signals::check().and(Err(Failure::new("building failed"))),
    }
}

/// The program that kills the hub, and knows which.
pub(crate) fn command() -> Outcome<Command> {
    let program = repo::target_dir()?.join("debug/tripline-crash");
    let mut command = process::command(program)?;
    release::hand_to(&mut command)?;
    Ok(command)
}
