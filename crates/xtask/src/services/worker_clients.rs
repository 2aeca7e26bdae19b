//! The public clients of AWS Lambda's Runtime API, for tests with warm instances: each is installed once into the
//! tools folder, from its registry. The functions that use them are in `tests/fixtures/worker`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::{Failure, Outcome};
use crate::process;
use crate::repo;
use crate::services::{Services, named, program, python, step};
use crate::time::Stopwatch;

const PYTHON_CLIENT: &str = "awslambdaric==4.2.2";
const NODE_CLIENT: &str = "aws-lambda-ric@4.0.2";
const RUST_FUNCTION: &str = "worker-function";

const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// Installs what is missing and exports where it is.
pub(super) fn provide(services: &mut Services) -> Outcome<()> {
    provide_one(
        services,
        "worker client for Python",
        "TRIPLINE_TEST_WORKER_PYTHON",
        python,
    )?;
    provide_one(
        services,
        "worker client for Node",
        "TRIPLINE_TEST_WORKER_NODE",
        node,
    )?;
    provide_one(
        services,
        "worker client for Rust",
        "TRIPLINE_TEST_WORKER_RUST",
        rust,
    )
}

fn provide_one(
    services: &mut Services,
    what: &'static str,
    variable: &'static str,
    install: fn(&mut Services) -> Outcome<PathBuf>,
) -> Outcome<()> {
    if let Some(path) = named(variable) {
        if !Path::new(&path).exists() {
            let message = format!("{variable} names {path}, but nothing is there");
            return Err(Failure::new(message));
        }
        services.have(what, format!("{path}, as {variable} says"));
        services.export(variable, path);
        return Ok(());
    }
    let watch = Stopwatch::start();
    match install(services) {
        Ok(path) => {
            services.export(variable, path.display());
            let text = format!("{} ({})", path.display(), watch.text());
            services.have(what, text);
            Ok(())
        }
        Err(failure) => services.skip(what, failure),
    }
}

/// A folder for `PYTHONPATH`, which is for one interpreter; that is exported, too.
fn python(services: &mut Services) -> Outcome<PathBuf> {
    let (_, version) = PYTHON_CLIENT.split_once("==").unwrap_or_default();
    let (interpreter, home) = python::installed("worker-python", version, &[PYTHON_CLIENT])?;
    services.export("TRIPLINE_TEST_WORKER_PYTHON_PROGRAM", interpreter.display());
    Ok(home)
}

/// A `node_modules` folder. The package compiles its own libcurl and a C++ part.
fn node(_: &mut Services) -> Outcome<PathBuf> {
    let node = process::require("node")?;
    let npm = process::require("npm")?;
    let major = output_of(program(&node)?.args(["-p", "process.versions.modules"]))?;
    let (_, version) = NODE_CLIENT.split_once('@').unwrap_or_default();
    let home = repo::tools()?.join(format!("worker-node-{version}-abi{major}"));
    if !home.is_dir() {
        for tool in ["cmake", "make", "g++"] {
            process::require(tool)?;
        }
        let partial = partial("worker-node-")?;
        let mut command = program(npm)?;
        command
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                NODE_CLIENT,
                "--prefix",
            ])
            .arg(partial.path());
        // The headers that came with Node, rather than a download of them.
        let real = fs::canonicalize(&node).unwrap_or(node);
        let prefix = real.ancestors().nth(2);
        if let Some(prefix) = prefix.filter(|prefix| prefix.join("include/node/node.h").is_file()) {
            command.env("npm_config_nodedir", prefix);
        }
        install(&mut command, NODE_CLIENT, partial, &home)?;
    }
    let modules = home.join("node_modules");
    let addon = modules.join("aws-lambda-ric/rapid-client.node");
    match addon.is_file() {
        true => Ok(modules),
        false => Err(Failure::new(format!(
            "{NODE_CLIENT} was installed without its compiled part; remove {} to try again",
            home.display()
        ))),
    }
}

/// A program. Cargo sees by itself whether it has to be built again.
fn rust(services: &mut Services) -> Outcome<PathBuf> {
    let source = repo::root().join("tests/fixtures/worker/rust");
    let target = repo::tools()?.join("worker-rust");
    if !target.is_dir() {
        eprintln!("==> lambda_runtime: building a function with it, once (a minute or two)");
    }
    let mut command = repo::cargo(&["build", "--locked", "--quiet"])?;
    command
        .current_dir(&source)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_INCREMENTAL", "0");
    let log = services.folder("worker-rust.log");
    step(
        &mut command,
        "building a function with lambda_runtime",
        &log,
        INSTALL_LIMIT,
    )?;
    Ok(target.join("debug").join(RUST_FUNCTION))
}

/// Runs an installing step; only a whole result gets its name.
fn install(command: &mut Command, what: &str, partial: TempDir, home: &Path) -> Outcome<()> {
    eprintln!("==> {what}: installing it, once");
    let log = PathBuf::from(format!("{}.log", home.display()));
    step(command, &format!("installing {what}"), &log, INSTALL_LIMIT)?;
    fs::rename(partial.path(), home).map_err(|error| Failure::file("create", home, error))
}

fn partial(prefix: &str) -> Outcome<TempDir> {
    let tools = repo::tools()?;
    tempfile::Builder::new()
        .prefix(&format!("{prefix}partial-"))
        .tempdir_in(&tools)
        .map_err(|error| Failure::file("create a folder in", &tools, error))
}

/// The line that a short command prints.
pub(super) fn output_of(command: &mut Command) -> Outcome<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("cannot run a command: {error}")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(Failure::new(String::from_utf8_lossy(&output.stderr).trim())),
    }
}
