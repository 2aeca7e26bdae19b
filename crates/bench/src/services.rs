//! Real services that some benchmarks need, named by the environment as for tests.

use std::env;
use std::fmt;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::Outcome;
use crate::time::micros;

/// How long what was produced may take to be on the broker.
const PATIENCE: Duration = Duration::from_secs(60);

/// A benchmark cannot run for want of a service.
#[derive(Debug)]
pub(crate) struct Skipped(String);

/// A Kafka broker.
#[derive(Clone)]
pub(crate) struct Kafka {
    pub(crate) bootstrap: String,
}

/// An S3 store.
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    client: Client,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

// === impl Skipped ===

impl Skipped {
    pub(crate) fn of(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// What the environment says of a service.
pub(crate) fn variable(name: &str) -> Result<String, Skipped> {
    let set = env::var(name).ok().filter(|value| !value.is_empty());
    set.ok_or_else(|| Skipped(format!("{name} is not set (run `cargo xtask bench`)")))
}

/// A name that was not used before.
fn fresh(name: &str) -> String {
    format!("{name}-{}", micros())
}

// === impl Kafka ===

impl Kafka {
    pub(crate) fn find() -> Outcome<Self> {
        let bootstrap = variable("TRIPLINE_TEST_KAFKA")?;
        Ok(Self { bootstrap })
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Makes a topic.
    pub(crate) async fn new_topic(&self, name: &str, partitions: i32) -> Outcome<String> {
        let topic = fresh(name);
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
        let made = admin.create_topics([&new], &AdminOptions::new()).await?;
        for one in made {
            one.map_err(|(topic, code)| format!("topic {topic}: {code}"))?;
        }
        Ok(topic)
    }

    /// Produces `count` records of `bytes` each; returns when the broker has them. Blocks.
    pub(crate) fn produce(&self, topic: &str, count: u64, bytes: usize) -> Outcome<()> {
        let mut config = self.client();
        config
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "200000");
        let producer: BaseProducer = config.create()?;
        let payload = vec![b'x'; bytes];
        for number in 0..count {
            let key = number.to_be_bytes();
            let mut record = BaseRecord::to(topic).key(&key).payload(&payload);
            while let Err((error, again)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                producer.poll(Duration::from_millis(10));
                record = again;
            }
            producer.poll(Duration::ZERO);
        }
        Ok(producer.flush(PATIENCE)?)
    }
}

// === impl S3 ===

impl S3 {
    pub(crate) fn find() -> Outcome<Self> {
        let endpoint = variable("TRIPLINE_TEST_S3_ENDPOINT")?;
        let access_key = variable("TRIPLINE_TEST_S3_ACCESS_KEY")?;
        let secret_key = variable("TRIPLINE_TEST_S3_SECRET_KEY")?;
        let keys = Credentials::new(&access_key, secret_key, None, None, "bench");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(keys)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(true)
            .build();
        Ok(Self {
            endpoint,
            client: Client::from_conf(config),
        })
    }

    /// Makes a bucket.
    pub(crate) async fn new_bucket(&self, name: &str) -> Outcome<String> {
        let bucket = fresh(name);
        self.client.create_bucket().bucket(&bucket).send().await?;
        Ok(bucket)
    }
}
