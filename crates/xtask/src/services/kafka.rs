//! Kafka for a test run, and the means to start private brokers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::ports::Port;
use crate::process::{self, Logged};
use crate::services::node::{Node, READY, START_LIMIT};
use crate::services::{KAFKA_VERSION, KafkaHome, Services, must_answer, named};
use crate::time::Stopwatch;

const BOOTSTRAP: &str = "TRIPLINE_TEST_KAFKA";
const SASL_BOOTSTRAP: &str = "TRIPLINE_TEST_KAFKA_SASL";
const PROXIED: &str = "TRIPLINE_TEST_KAFKA_PROXIED";
const HOME: &str = "TRIPLINE_TEST_KAFKA_HOME";
const CONTROL: &str = "TRIPLINE_TEST_KAFKA_CONTROL";

/// Times to choose new ports when somebody else was quicker to take them.
const TRIES: u32 = 3;

/// Finds or starts the shared broker, and offers private ones where the jars are.
pub(super) fn provide(services: &mut Services, port: Port) -> Outcome<()> {
    let home = KafkaHome::installed();
    if let Ok(home) = &home {
        let control = services.folder("kafka-control");
        write_control(services.dir.path(), &control)?;
        services.export(HOME, home.path().display());
        services.export(CONTROL, control.display());
    }
    match (named(BOOTSTRAP), home) {
        (Some(bootstrap), home) => {
            must_answer(BOOTSTRAP, &bootstrap)?;
            services.have("Kafka", format!("{bootstrap} (named by {BOOTSTRAP})"));
            services.export(BOOTSTRAP, bootstrap);
            match home {
                Ok(_) => Ok(()),
                Err(failure) => services.skip("private Kafka brokers", failure),
            }
        }
        (None, Ok(home)) => start(services, &home, port),
        (None, Err(failure)) => services.skip("Kafka", failure),
    }
}

fn start(services: &mut Services, home: &KafkaHome, port: Port) -> Outcome<()> {
    let watch = Stopwatch::start();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let dir = services.folder(&format!("kafka-{attempt}"));
        let node = Node::create(home.clone(), &dir, port)?;
        let log = dir.join("broker.log");
        let mut broker = Logged::spawn(&mut node.server()?, &log)?;
        let ready = broker.wait_ready("Kafka starts", START_LIMIT, |log| log.contains(READY));
        if let Err(failure) = ready {
            if attempt < TRIES && process::read_lossy(&log).contains("Address already in use") {
                continue;
            }
            return Err(failure);
        }
        let (plain, sasl) = (node.bootstrap()?, node.sasl_bootstrap()?);
        let text = format!(
            "Apache Kafka {KAFKA_VERSION} on {plain}, with SASL on {sasl}, started in {}",
            watch.text()
        );
        services.running.push(broker);
        services.export(PROXIED, node.proxied()?);
        services.export(BOOTSTRAP, plain);
        services.export(SASL_BOOTSTRAP, sasl);
        services.have("Kafka", text);
        return Ok(());
    }
}

/// A script that tests call to control private brokers. It runs a copy of this program, taken from
/// the kernel: the file is replaced when a test run builds the workspace.
fn write_control(dir: &Path, control: &Path) -> Outcome<()> {
    let own = Path::new("/proc/self/exe");
    let copy = dir.join("xtask");
    fs::copy(own, &copy).map_err(|error| Failure::file("copy", own, error))?;
    let script = format!("#!/bin/sh\nexec '{}' kafka-node \"$@\"\n", copy.display());
    fs::write(control, script)
        .and_then(|()| fs::set_permissions(control, fs::Permissions::from_mode(0o755)))
        .map_err(|error| Failure::file("write", control, error))
}
