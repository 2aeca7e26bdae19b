//! How librdkafka is set up: what the hub fixes, what it prefers, what the config sets.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use tripline_trigger::{TriggerContext, TriggerError};

use crate::config::{Config, GroupProtocol, Setting};
use crate::pacing::Pacing;

/// What the hub prefers; the config may set it otherwise. Queues are small, because what is fetched and not accepted is
/// fetched again after a pause.
const PREFERRED: [(&str, &str); 6] = [
    ("client.id", "tripline"),
    ("enable.metrics.push", "false"),
    ("fetch.queue.backoff.ms", "50"),
    ("queued.max.messages.kbytes", "8192"),
    ("queued.min.messages", "2000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
];

/// What the hub relies on.
const FIXED: [(&str, &str); 6] = [
    ("allow.auto.create.topics", "false"),
    // Where to go on is the hub's decision, in `positions`.
    ("auto.offset.reset", "error"),
    // Topic ids are in the log only, see `positions::topic_id_in_log`.
    ("debug", "topic"),
    // librdkafka commits, but only what the hub has stored.
    ("enable.auto.commit", "true"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
];

/// librdkafka's settings, and the values in them that are secret.
pub(crate) fn client_config(
    config: &Config,
    cx: &TriggerContext,
    pacing: &Pacing,
) -> Result<(ClientConfig, Vec<String>), TriggerError> {
    let mut client = ClientConfig::new();
    let mut secrets = Vec::new();
    for (name, value) in PREFERRED {
        client.set(name, value);
    }
    client.set("group.protocol", config.protocol.word());
    if config.protocol == GroupProtocol::Classic {
        client.set("partition.assignment.strategy", "cooperative-sticky");
    }
    for (name, setting) in &config.properties {
        match setting {
            Setting::Text(text) => client.set(name, text),
            Setting::Secret(reference) => {
                let value = cx.secret(reference)?;
                secrets.push(value.expose().to_owned());
                client.set(name, value.expose())
            }
        };
    }
    let default_group = || format!("tripline.{}.{}", cx.hub_id(), cx.name());
    client.set(
        "group.id",
        config.group_id.clone().unwrap_or_else(default_group),
    );
    let millis = |span: Duration| span.as_millis().to_string();
    client.set("statistics.interval.ms", millis(pacing.measure_every));
    client.set("auto.commit.interval.ms", millis(pacing.commit_every));
    for (name, value) in FIXED {
        client.set(name, value);
    }
    client.set_log_level(RDKafkaLogLevel::Debug);
    Ok((client, secrets))
}
