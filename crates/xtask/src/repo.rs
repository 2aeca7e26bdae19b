//! The work tree: its root, its ignored tools folder, and `cargo` run inside it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::process;

/// The folder of the root manifest.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors()
        .nth(2)
        .expect("this crate is two levels below the root")
}

/// Where fetched and built servers are kept between runs (never committed).
pub(crate) fn tools() -> Outcome<PathBuf> {
    let tools = root().join(".tools");
    fs::create_dir_all(&tools).map_err(|error| Failure::file("create", &tools, error))?;
    Ok(tools)
}

/// `cargo ARGS` at the root, to be run by [`process::run`].
pub(crate) fn cargo(args: &[&str]) -> Outcome<Command> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = process::command(program)?;
    command.args(args).current_dir(root());
    // `cargo run` sets these for us; build scripts that watch them would run again for nothing.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// What `cargo metadata` says of the workspace's own packages; needs manifests, not compiling code.
pub(crate) fn metadata() -> Outcome<Value> {
    let output = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ])?
    .stdin(Stdio::null())
    .stderr(Stdio::inherit())
    .output()
    .map_err(|error| Failure::new(format!("cannot run cargo metadata: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("cargo metadata: {}", output.status)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::new(format!("cannot read cargo metadata: {error}")))
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> Outcome<PathBuf> {
    let metadata = metadata()?;
    let path = metadata["target_directory"].as_str();
    path.map(PathBuf::from)
        .ok_or_else(|| Failure::new("cargo metadata names no target directory"))
}

/// Every file of the work tree that git tracks or would track, relative to the root.
pub(crate) fn files() -> Outcome<Vec<PathBuf>> {
    let output = process::command(process::require("git")?)?
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("cannot run git: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("git ls-files: {}", output.status)));
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut files: Vec<PathBuf> = names
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|f| root().join(f).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
