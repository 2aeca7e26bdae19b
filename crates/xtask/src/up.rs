//! `cargo xtask up`: everything a person needs to see the four triggers work, in one terminal.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::cli::UpArgs;
use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{KafkaHome, Ports, Services};
use crate::{kafka_cli, process, repo, signals};

/// The names that the example's configuration uses.
const TOPIC: &str = "orders";
const BUCKET: &str = "uploads";
const ROUTE: &str = "http://127.0.0.1:8080/hooks/deploy";

const PARTITIONS: u16 = 3;

/// The hub finishes running functions before it ends; the grace is longer than it takes for that.
const HUB: Limits = Limits {
    whole: None,
    grace: Duration::from_secs(60),
};

/// Where the services are, and who may use the store.
struct Addresses<'a> {
    kafka: &'a str,
    s3: &'a str,
    access_key: &'a str,
    secret_key: &'a str,
}

/// Builds the hub, starts the services, makes topic and bucket, runs the hub until Ctrl-C.
pub(crate) fn run(args: &UpArgs) -> Outcome<u8> {
    if !repo::root().join(&args.config).is_file() {
        return Err(Failure::new(format!("no configuration at {}", args.config)));
    }
    let hub = ["--release", "--package", "tripline"];
    eprintln!("==> building the hub");
    let mut build = repo::cargo(&[&["build"], &hub[..]].concat())?;
    if !process::run(&mut build, Limits::STEP)?.success() {
        return signals::check().and(Err(Failure::new("building the hub failed")));
    }
    let services = Services::start(Ports::WELL_KNOWN)?;
    let addresses = Addresses::of(&services)?;
    eprintln!("==> making topic {TOPIC} and bucket {BUCKET}");
    kafka_cli::create_topic(&KafkaHome::installed()?, addresses.kafka, TOPIC, PARTITIONS)?;
    make_bucket(&services)?;
    // Nobody is left to print to if this fails.
    let _ = write!(std::io::stdout(), "{}", addresses.commands(&args.config));
    let serve = [
        "run",
        "--quiet",
        "--release",
        "--package",
        "tripline",
        "--",
        "serve",
        &args.config,
    ];
    let mut command = repo::cargo(&serve)?;
    command
        .env("S3_ACCESS_KEY", addresses.access_key)
        .env("S3_SECRET_KEY", addresses.secret_key);
    services.run(&mut command, HUB)
}

/// In the store that was started here a folder is a bucket; one named from outside has its own.
fn make_bucket(services: &Services) -> Outcome<()> {
    let buckets = services.buckets();
    if !buckets.is_dir() {
        eprintln!("==> the S3 store is not ours: bucket {BUCKET} must be there already");
        return Ok(());
    }
    let bucket = buckets.join(BUCKET);
    fs::create_dir_all(&bucket).map_err(|error| Failure::file("create", &bucket, error))
}

// === impl Addresses ===

impl<'a> Addresses<'a> {
    fn of(services: &'a Services) -> Outcome<Self> {
        let need = |name: &str| {
            services
                .variable(name)
                .ok_or_else(|| Failure::new("`up` needs both Kafka and S3"))
        };
        Ok(Self {
            kafka: need("TRIPLINE_TEST_KAFKA")?,
            s3: need("TRIPLINE_TEST_S3_ENDPOINT")?,
            access_key: need("TRIPLINE_TEST_S3_ACCESS_KEY")?,
            secret_key: need("TRIPLINE_TEST_S3_SECRET_KEY")?,
        })
    }

    /// What a person may paste into another terminal.
    fn commands(&self, config: &str) -> String {
        let Self {
            kafka,
            s3,
            access_key,
            secret_key,
        } = self;
        format!(
            "
Once the hub says that it is ready, try in another terminal, in this folder:

  # 1. a Kafka record
  cargo xtask kafka --bootstrap {kafka} produce {TOPIC} --key 42 '{{\"item\": 7}}'

  # 2. an object (`aws` and `rclone` work as well)
  curl --fail --aws-sigv4 aws:amz:us-east-1:s3 --user '{access_key}:{secret_key}' \\
    --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \\
    --upload-file README.md {s3}/{BUCKET}/readme.txt

  # 3. a call
  curl -i -d '{{\"version\": \"1.2\"}}' {ROUTE}

  # 4. what became of them, and of the timer's ticks
  cargo run --quiet --release -p tripline -- ps --config {config}

"
        )
    }
}
