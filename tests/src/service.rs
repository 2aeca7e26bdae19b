//! Real services for tests, as `cargo xtask services` names them in the environment.

use std::fs;
use std::process::{Command, Stdio};

pub use aws_sdk_s3::Client as S3Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::DateTime;
use tempfile::TempDir;
pub use tripline_skipped::{full, skipped};

pub(crate) fn named(variable: &str) -> Option<String> {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
}

/// The bootstrap servers of the shared Kafka broker; `None` was reported as skipped.
pub fn kafka(test: &str) -> Option<String> {
    let found = named("TRIPLINE_TEST_KAFKA");
    if found.is_none() {
        skipped(
            test,
            "no Kafka: TRIPLINE_TEST_KAFKA is not set (run `cargo xtask test`)",
        );
    }
    found
}

/// The same broker behind SASL/PLAIN, where `alice` logs in with `alice-secret`; `None` was reported as skipped.
pub fn kafka_sasl(test: &str) -> Option<String> {
    let found = named("TRIPLINE_TEST_KAFKA_SASL");
    if found.is_none() {
        skipped(
            test,
            "no Kafka with logins: TRIPLINE_TEST_KAFKA_SASL is not set",
        );
    }
    found
}

/// Brokers of one test's own, that can be killed and started again.
pub struct KafkaNode {
    control: String,
    dir: TempDir,
    /// Its bootstrap servers; they stay the same over restarts.
    pub bootstrap: String,
}

impl KafkaNode {
    /// Starts one; `None` was reported as skipped.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_cluster(test, 1)
    }

    /// Starts a cluster of so many, each with a copy of every record; `None` was reported as skipped.
    pub fn start_cluster(test: &str, nodes: u8) -> Option<Self> {
        let Some(control) = named("TRIPLINE_TEST_KAFKA_CONTROL") else {
            skipped(
                test,
                "no Kafka of its own: TRIPLINE_TEST_KAFKA_CONTROL is not set",
            );
            return None;
        };
        let dir = tempfile::tempdir().expect("there is room for a folder");
        let mut node = Self {
            control,
            dir,
            bootstrap: String::new(),
        };
        let printed = node.control(&["--nodes", &nodes.to_string(), "start"]);
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix("BOOTSTRAP="));
        node.bootstrap = line
            .unwrap_or_else(|| panic!("no address in {printed:?}"))
            .to_owned();
        Some(node)
    }

    /// `start`, `stop`, `kill`, `pause` or `resume`.
    pub fn run(&self, action: &str) {
        self.control(&[action]);
    }

    /// The same with one broker of a cluster, counted from 1.
    pub fn run_one(&self, node: u8, action: &str) {
        self.control(&["--node", &node.to_string(), action]);
    }

    /// Stops it, changes its settings, and starts it again.
    pub fn reconfigure(&self, settings: &[(&str, &str)]) {
        self.run("stop");
        let file = self.dir.path().join("server.properties");
        let mut text = fs::read_to_string(&file).expect("it has settings");
        for (key, value) in settings {
            // The last one of a name counts.
            text += &format!("{key}={value}\n");
        }
        fs::write(&file, text).expect("the folder is ours");
        self.run("start");
    }

    /// One of its settings.
    pub fn setting(&self, key: &str) -> String {
        let text = fs::read_to_string(self.dir.path().join("server.properties"));
        let text = text.expect("it has settings");
        let mut lines = text.lines().rev();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {key}")).to_owned()
    }

    fn control(&self, args: &[&str]) -> String {
        let done = Command::new(&self.control)
            .arg("--dir")
            .arg(self.dir.path())
            .args(args)
            .stderr(Stdio::inherit())
            .output()
            .expect("the control can be run");
        assert!(
            done.status.success(),
            "kafka-node {args:?}: {}",
            done.status
        );
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

impl Drop for KafkaNode {
    fn drop(&mut self) {
        let _status = Command::new(&self.control)
            .arg("--dir")
            .arg(self.dir.path())
            .arg("kill")
            .status();
    }
}

/// An S3 server and a client for it.
pub struct S3 {
    /// Where it is.
    pub endpoint: String,
    /// Who may use it.
    pub access_key: String,
    /// The key's secret.
    pub secret_key: String,
    /// The vendor's SDK.
    pub client: S3Client,
}

impl S3 {
    pub(crate) fn at(endpoint: String, access_key: String, secret_key: String) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(
                &access_key,
                &secret_key,
                None,
                None,
                "test",
            ))
            // One call is one request: what is put once must not be there twice.
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(true)
            .build();
        Self {
            endpoint,
            access_key,
            secret_key,
            client: S3Client::from_conf(config),
        }
    }

    /// Makes a bucket.
    pub async fn create(&self, bucket: &str) {
        self.client
            .create_bucket()
            .bucket(bucket)
            .send()
            .await
            .expect("a bucket can be made");
    }

    /// Puts an object.
    pub async fn put(&self, bucket: &str, key: &str, body: &str) {
        let put = self.client.put_object().bucket(bucket).key(key);
        put.body(body.as_bytes().to_vec().into())
            .send()
            .await
            .expect("an object can be put");
    }

    /// When the store says that an object was last put, in whatever resolution it has.
    pub async fn last_modified(&self, bucket: &str, key: &str) -> DateTime {
        let head = self.client.head_object().bucket(bucket).key(key);
        let head = head.send().await.expect("the object is there");
        head.last_modified.expect("an object has a time of change")
    }

    /// The variables by which a configuration under test gets the keys.
    pub fn env(&self) -> [(&str, &str); 2] {
        [
            ("S3_ACCESS_KEY", &self.access_key),
            ("S3_SECRET_KEY", &self.secret_key),
        ]
    }
}

/// The shared S3 server; `None` was reported as skipped.
pub fn s3_store(test: &str) -> Option<S3> {
    let found = (
        named("TRIPLINE_TEST_S3_ENDPOINT"),
        named("TRIPLINE_TEST_S3_ACCESS_KEY"),
        named("TRIPLINE_TEST_S3_SECRET_KEY"),
    );
    let (Some(endpoint), Some(access), Some(secret)) = found else {
        skipped(
            test,
            "no S3 server: TRIPLINE_TEST_S3_ENDPOINT is not set (run `cargo xtask test`)",
        );
        return None;
    };
    Some(S3::at(endpoint, access, secret))
}
