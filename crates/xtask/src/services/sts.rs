//! A security token service for a test run: moto's server, which has AWS STS, IAM and S3 in one place and can be set
//! to enforce what their policies say. It is installed once into the tools folder.

use std::time::Duration;

use crate::failure::Outcome;
use crate::ports;
use crate::process::Logged;
use crate::services::s3::{host_and_port, status};
use crate::services::{Services, must_answer, named, program, python};
use crate::time::Stopwatch;

const ENDPOINT: &str = "TRIPLINE_TEST_STS_ENDPOINT";
/// The pinned release.
const VERSION: &str = "5.2.5";

/// What the three services and the server need; moto's own `server` extra brings what all its services need.
const PACKAGES: [&str; 3] = ["moto[s3,iam,sts]==5.2.5", "flask>=3,<4", "flask-cors>=6,<7"];

const START_LIMIT: Duration = Duration::from_secs(60);

/// Finds or starts one, and says where it is.
pub(super) fn provide(services: &mut Services) -> Outcome<()> {
    if let Some(endpoint) = named(ENDPOINT) {
        must_answer(ENDPOINT, &host_and_port(&endpoint)?)?;
        services.have("STS", format!("{endpoint} (named by {ENDPOINT})"));
        services.export(ENDPOINT, endpoint);
        return Ok(());
    }
    let (python, home) = match python::installed("moto", VERSION, &PACKAGES) {
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
