//! The release binary: what people are handed, and therefore what the tests of tests/crash strike.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::{process, repo, signals};

/// Names the release binary for the tests of tests/crash.
const VARIABLE: &str = "TRIPLINE_TEST_RELEASE_BIN";

/// Builds it with the command of the README, as the lock file says if `args` demand that.
pub(crate) fn build(args: &[&str]) -> Outcome<()> {
    eprintln!("==> building the hub in release mode");
    let mut command = repo::cargo(&["build", "--release", "-p", "tripline"])?;
    command.args(args.iter().filter(|arg| **arg == "--locked"));
    match process::run(&mut command, Limits::STEP)?.success() {
        true => Ok(()),
        false => signals::check().and(Err(Failure::new("building the hub failed"))),
    }
}

/// Where it is.
pub(crate) fn binary() -> Outcome<PathBuf> {
    Ok(repo::target_dir()?.join("release/tripline"))
}

/// Lets tests strike it.
pub(crate) fn hand_to(command: &mut Command) -> Outcome<()> {
    command.env(VARIABLE, binary()?);
    Ok(())
}
