//! A look at the brokers and topics, for `tripline doctor`: no group is joined, and nothing is read.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tripline_config::Secrets;
use tripline_trigger::TriggerError;

use crate::config::{KafkaConfig, Setting};

/// How long brokers may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(6);

/// Asks for the topics, and says what was found.
pub(crate) async fn probe(
    config: &KafkaConfig,
    secrets: &dyn Secrets,
) -> Result<Option<String>, TriggerError> {
    let mut client = ClientConfig::new();
    for (name, setting) in &config.properties {
        match setting {
            Setting::Text(text) => client.set(name, text),
            Setting::Secret(reference) => {
                let secret = secrets.resolve(reference);
                let secret = secret.map_err(|error| TriggerError::new(error.to_string()))?;
                client.set(name, secret.expose())
            }
        };
    }
    client.set("allow.auto.create.topics", "false");
    let topics = config.topics.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&client, &topics)).await;
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

fn ask(client: &ClientConfig, topics: &[String]) -> Result<usize, TriggerError> {
    let consumer: BaseConsumer = client
        .create()
        .map_err(|error| failed("the client cannot be made", error))?;
    let mut partitions = 0;
    for topic in topics {
        let found = consumer.fetch_metadata(Some(topic), TIMEOUT);
        let found = found.map_err(|error| {
            let what = format!("no broker tells of the topic `{topic}` within {TIMEOUT:?}");
            failed(what, error)
        })?;
        let found = found.topics().first();
        match found.map(|topic| (topic.error(), topic.partitions().len())) {
            Some((None, count)) if count > 0 => partitions += count,
            Some((Some(error), _)) => {
                let error = rdkafka::types::RDKafkaErrorCode::from(error);
                return Err(failed(format!("the topic `{topic}` cannot be read"), error));
            }
            _ => return Err(TriggerError::new(format!("there is no topic `{topic}`"))),
        }
    }
    Ok(partitions)
}
