//! `cargo xtask crash`: the release binary, killed again and again.

use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{Ports, Services};
use crate::{process, repo, signals};

/// Builds the hub in release mode and what kills it, and runs that with `args` and the services.
pub(crate) fn run(args: &[String]) -> Outcome<u8> {
    let mut command = prepare()?;
    command.args(args);
    Services::start(Ports::FREE)?.run(&mut command, Limits::PERSON)
}

/// What kills the hub, told which hub.
pub(crate) fn prepare() -> Outcome<Command> {
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
    let target = repo::target_dir()?;
    let mut command = process::command(target.join("debug/tripline-crash"))?;
    command.env("TRIPLINE_TEST_BIN", target.join("release/tripline"));
    Ok(command)
}
