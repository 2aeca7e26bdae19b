//! A look at the brokers and topics, for `tripline doctor`: no group is joined, and nothing is read.

use std::sync::Mutex;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, types::RDKafkaErrorCode};
use tripline_config::Secrets;
use tripline_model::lock;
use tripline_trigger::TriggerError;

use crate::config::{Config, Setting};
use crate::health::redacted;

/// How long brokers may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(6);

/// How long librdkafka is polled for why there was no answer. Each poll serves what is there up to a complaint.
const LISTEN: Duration = Duration::from_millis(20);
const COMPLAINTS: usize = 20;

/// What librdkafka complained of first: why a login or a certificate is refused is reported nowhere else.
#[derive(Default)]
struct Complaint(Mutex<Option<String>>);

impl ClientContext for Complaint {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {
        // What matters of it comes as an error, too.
    }

    fn error(&self, _: KafkaError, words: &str) {
        let mut first = lock(&self.0);
        first.get_or_insert_with(|| words.to_owned());
    }
}

impl ConsumerContext for Complaint {}

/// Asks for the topics, and says what was found.
pub(crate) async fn probe(
    config: &Config,
    secrets: &dyn Secrets,
) -> Result<Option<String>, TriggerError> {
    let mut client = ClientConfig::new();
    let mut hidden = Vec::new();
    for (name, setting) in &config.properties {
        match setting {
            Setting::Text(text) => client.set(name, text),
            Setting::Secret(reference) => {
                let secret = secrets.resolve(reference);
                let secret = secret.map_err(|error| TriggerError::new(error.to_string()))?;
                hidden.push(secret.expose().to_owned());
                client.set(name, secret.expose())
            }
        };
    }
    client.set("allow.auto.create.topics", "false");
    let topics = config.topics.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&client, &topics, &hidden)).await;
    let partitions = asked.map_err(|error| TriggerError::new(error.to_string()))??;
    let topics = config.topics.join(", ");
    Ok(Some(format!("{topics}: {partitions} partitions")))
}

fn failed(
    what: impl Into<String>,
    error: impl std::error::Error + Send + Sync + 'static,
) -> TriggerError {
    TriggerError::new(what).caused_by(error)
}

fn ask(client: &ClientConfig, topics: &[String], hidden: &[String]) -> Result<usize, TriggerError> {
    let consumer: BaseConsumer<Complaint> = client
        .create_with_context(Complaint::default())
        .map_err(|error| failed("the client cannot be made", error))?;
    let mut partitions = 0;
    for topic in topics {
        let found = consumer.fetch_metadata(Some(topic), TIMEOUT);
        let found = found.map_err(|error| {
            let what = format!("no broker tells of the topic `{topic}` within {TIMEOUT:?}");
            match complaint(&consumer) {
                Some(words) => TriggerError::new(format!("{what}: {}", redacted(&words, hidden))),
                None => failed(what, error),
            }
        })?;
        let found = found.topics().first();
        match found.map(|topic| (topic.error(), topic.partitions().len())) {
            Some((None, count)) if count > 0 => partitions += count,
            Some((Some(error), _)) => {
                let error = RDKafkaErrorCode::from(error);
                return Err(failed(format!("the topic `{topic}` cannot be read"), error));
            }
            _ => return Err(TriggerError::new(format!("there is no topic `{topic}`"))),
        }
    }
    Ok(partitions)
}

/// What librdkafka had to complain of.
fn complaint(consumer: &BaseConsumer<Complaint>) -> Option<String> {
    for _ in 0..COMPLAINTS {
        drop(consumer.poll(LISTEN));
    }
    lock(&consumer.context().0).clone()
}
