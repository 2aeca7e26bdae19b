//! A security token service for a test run: moto's server, which has AWS STS, IAM and S3 in one place and can be told
//! to enforce what their policies say. It is installed once into the tools folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process::{self, Logged};
use crate::services::s3::{host_and_port, status};
use crate::services::worker_clients::said;
use crate::services::{Services, must_answer, named, program, step};
use crate::time::Stopwatch;
use crate::{ports, repo};

const ENDPOINT: &str = "TRIPLINE_TEST_STS_ENDPOINT";
/// The pinned release.
const VERSION: &str = "5.2.5";

/// What the three services and the server need; moto's own `server` extra brings what all its services need.
const PACKAGES: [&str; 3] = ["moto[s3,iam,sts]==5.2.5", "flask>=3,<4", "flask-cors>=6,<7"];

const INSTALL_LIMIT: Duration = Duration::from_secs(600);
const START_LIMIT: Duration = Duration::from_secs(60);

/// Finds or starts one, and says where it is.
pub(super) fn provide(services: &mut Services) -> Outcome<()> {
    if let Some(endpoint) = named(ENDPOINT) {
        must_answer(ENDPOINT, &host_and_port(&endpoint)?)?;
        services.have("STS", format!("{endpoint} (named by {ENDPOINT})"));
        services.export(ENDPOINT, endpoint);
        return Ok(());
    }
    let (python, home) = match installed() {
        Ok(found) => found,
        Err(failure) => return services.skip("STS", failure),
    };
    let watch = Stopwatch::start();
    let [port] = ports::free()?;
    let mut command = program(python)?;
    command
        .args(["-m", "moto.server", "--host", "127.0.0.1"])
        .args(["--port", &port.to_string()])
        .env("PYTHONPATH", home);
    let mut server = Logged::spawn(&mut command, &services.folder("moto.log"))?;
    let ready = |_: &str| status(port, "/moto-api/").as_deref() == Some("200");
    server.wait_ready("moto starts", START_LIMIT, ready)?;
    services.running.push(server);
    let endpoint = format!("http://127.0.0.1:{port}");
    let text = format!("moto {VERSION} on {endpoint}, started in {}", watch.text());
    services.have("STS", text);
    services.export(ENDPOINT, endpoint);
    Ok(())
}

/// The interpreter, and a folder for its `PYTHONPATH`. It has compiled parts, so it is for one interpreter.
fn installed() -> Outcome<(PathBuf, PathBuf)> {
    let python = process::require("python3")?;
    let ask = "import sys; print(sys.implementation.cache_tag)";
    let tag = said(program(&python)?.args(["-c", ask]))?;
    let home = repo::tools()?.join(format!("moto-{VERSION}-{tag}"));
    if !home.is_dir() {
        install(&python, &home)?;
    }
    Ok((python, home))
}

fn install(python: &Path, home: &Path) -> Outcome<()> {
    eprintln!("==> moto {VERSION}: installing it, once (about a minute)");
    let partial = tempfile::Builder::new()
        .prefix("moto-partial-")
        .tempdir_in(repo::tools()?)
        .map_err(|error| Failure::file("create a folder for", home, error))?;
    let mut command = program(python)?;
    command
        .args(["-m", "pip", "install", "--no-input", "--target"])
        .arg(partial.path())
        .args(PACKAGES);
    let log = PathBuf::from(format!("{}.log", home.display()));
    step(&mut command, "installing moto", &log, INSTALL_LIMIT)?;
    // A rename: what was cut short is never taken for the whole.
    fs::rename(partial.path(), home).map_err(|error| Failure::file("create", home, error))
}
