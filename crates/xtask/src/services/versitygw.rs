//! versitygw, a real S3 server that a Go toolchain can build anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process;
use crate::repo;
use crate::services::{program, step};
use crate::time::Stopwatch;

/// The pinned release.
pub(super) const VERSION: &str = "v1.7.0";

const PACKAGE: &str = "github.com/versity/versitygw/cmd/versitygw";
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// The program in the tools folder, built if it is not there yet.
pub(super) fn installed() -> Outcome<PathBuf> {
    let tools = repo::tools()?;
    let binary = tools.join(format!("versitygw-{VERSION}"));
    if !binary.is_file() {
        build(&tools, &binary)?;
    }
    Ok(binary)
}

/// A server over `root`, each folder of which is a bucket; old versions go to `versions`.
pub(super) fn server(binary: &Path, port: u16, root: &Path, versions: &Path) -> Outcome<Command> {
    for folder in [root, versions] {
        fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, error))?;
    }
    let mut command = program(binary)?;
    command.arg("--port").arg(format!("127.0.0.1:{port}"));
    command
        .arg("posix")
        .arg("--versioning-dir")
        .arg(versions)
        .arg(root);
    Ok(command)
}

fn build(tools: &Path, binary: &Path) -> Outcome<()> {
    let watch = Stopwatch::start();
    let go = process::require("go")?;
    eprintln!("==> versitygw {VERSION}: building it with Go, once (a minute or two)");
    let partial = tempfile::Builder::new()
        .prefix("versitygw-partial-")
        .tempdir_in(tools)
        .map_err(|error| Failure::file("create a folder in", tools, error))?;
    let mut command = program(go)?;
    command
        .args(["install", &format!("{PACKAGE}@{VERSION}")])
        .env("GOBIN", partial.path());
    step(
        &mut command,
        "building versitygw",
        &partial.path().join("build.log"),
        BUILD_LIMIT,
    )?;
    // A rename: a build that was cut short is never taken for a program.
    fs::rename(partial.path().join("versitygw"), binary)
        .map_err(|error| Failure::file("create", binary, error))?;
    eprintln!("==> versitygw {VERSION}: built in {}", watch.text());
    Ok(())
}
