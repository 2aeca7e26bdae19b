//! Python packages for test runs, each set installed once into the tools folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::services::worker_clients::output_of;
use crate::services::{program, step};
use crate::{process, repo};

const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// The interpreter, and a folder with `packages` for its `PYTHONPATH`. They have compiled parts, so the folder is for one
/// interpreter; another `version` gets another folder.
///
/// The interpreter itself, not what `python3` may be instead: a version manager's stand-in does more than it is asked to,
/// and fails where that fails.
pub(super) fn installed(
    name: &str,
    version: &str,
    packages: &[&str],
) -> Outcome<(PathBuf, PathBuf)> {
    let ask = "import sys; print(sys.implementation.cache_tag, sys.executable)";
    let line = output_of(program(process::require("python3")?)?.args(["-c", ask]))?;
    let (tag, python) = line
        .split_once(' ')
        .ok_or_else(|| Failure::new(format!("python3 printed {line:?}")))?;
    let python = PathBuf::from(python);
    let home = repo::tools()?.join(format!("{name}-{version}-{tag}"));
    if !home.is_dir() {
        eprintln!("==> {name} {version}: installing it, once (about a minute)");
        install(&python, &home, name, packages)?;
    }
    Ok((python, home))
}

fn install(python: &Path, home: &Path, name: &str, packages: &[&str]) -> Outcome<()> {
    let partial = tempfile::Builder::new()
        .prefix(&format!("{name}-partial-"))
        .tempdir_in(repo::tools()?)
        .map_err(|error| Failure::file("create a folder for", home, error))?;
    let mut command = program(python)?;
    command
        .args(["-m", "pip", "install", "--no-input", "--target"])
        .arg(partial.path())
        .args(packages);
    let log = PathBuf::from(format!("{}.log", home.display()));
    step(
        &mut command,
        &format!("installing {name}"),
        &log,
        INSTALL_LIMIT,
    )?;
    // A rename: what was cut short is never taken for the whole.
    fs::rename(partial.path(), home).map_err(|error| Failure::file("create", home, error))
}
