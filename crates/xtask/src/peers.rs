//! The others that `cargo xtask bench peers` measures beside the hub, each fetched once into the tools folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process::{self, Logged};
use crate::repo;

/// The last whose engine is older than Node 22.
const NODE_RED: &str = "4.1.8";

const LIMIT: Duration = Duration::from_secs(600);

/// Where one of them is, fetched if need be.
type Find = fn() -> Outcome<PathBuf>;

/// Hands their addresses to the benchmark, which reports those that cannot be had.
pub(crate) fn provide(bench: &mut Command) -> Outcome<()> {
    let peers: [(&str, &str, Find); 2] = [
        ("adnanh/webhook", "TRIPLINE_BENCH_WEBHOOK", webhook),
        ("Node-RED", "TRIPLINE_BENCH_NODE_RED", node_red),
    ];
    for (name, variable, find) in peers {
        match find() {
            Ok(path) => {
                bench.env(variable, path);
            }
            Err(Failure::Message(why)) => eprintln!("==> {name} cannot be had: {why}"),
            Err(interrupted) => return Err(interrupted),
        }
    }
    Ok(())
}

/// The program of Debian's package, which is unpacked and not installed.
fn webhook() -> Outcome<PathBuf> {
    if let Some(program) = process::on_path("webhook") {
        return Ok(program);
    }
    let home = repo::tools()?.join("webhook");
    let program = home.join("usr/bin/webhook");
    if !program.is_file() {
        eprintln!("==> webhook: fetching Debian's package, once");
        fs::create_dir_all(&home).map_err(|error| Failure::file("create", &home, error))?;
        let mut fetch = process::command(process::require("apt-get")?)?;
        fetch.args(["download", "webhook"]).current_dir(&home);
        Logged::spawn(&mut fetch, &home.join("fetch.log"))?
            .wait_success("fetching webhook", LIMIT)?;
        let mut unpack = process::command(process::require("sh")?)?;
        unpack
            .args(["-c", "dpkg-deb -x webhook_*.deb ."])
            .current_dir(&home);
        Logged::spawn(&mut unpack, &home.join("unpack.log"))?
            .wait_success("unpacking webhook", LIMIT)?;
    }
    Ok(program)
}

/// A folder with `node_modules/node-red`.
fn node_red() -> Outcome<PathBuf> {
    let npm = process::require("npm")?;
    let home = repo::tools()?.join(format!("node-red-{NODE_RED}"));
    if !home.is_dir() {
        eprintln!("==> Node-RED {NODE_RED}: installing it, once (a minute or two)");
        let partial = tempfile::Builder::new()
            .prefix("node-red-partial-")
            .tempdir_in(repo::tools()?)
            .map_err(|error| Failure::file("create a folder for", &home, error))?;
        let mut install = process::command(npm)?;
        let package = format!("node-red@{NODE_RED}");
        install
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(partial.path())
            .arg(package);
        let log = repo::tools()?.join("node-red.log");
        Logged::spawn(&mut install, &log)?.wait_success("installing Node-RED", LIMIT)?;
        // A rename: what was cut short is never taken for the whole.
        fs::rename(partial.path(), &home).map_err(|error| Failure::file("create", &home, error))?;
    }
    Ok(home)
}
