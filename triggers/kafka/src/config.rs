//! The keys of a Kafka trigger's table. Kafka's and librdkafka's own names, where they exist.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use tripline_config::{Location, Scalar, SecretRef, Table, nearest};

use crate::properties::{Verdict, counts, misplaced, settable, verdict};

/// Where a partition begins that neither the hub nor the group has a position in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    /// At its first record.
    Earliest,
    /// Behind its last record.
    Latest,
}

/// How the members of a group agree on who reads which partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupProtocol {
    /// One of the members decides. Every broker speaks it.
    Classic,
    /// The brokers decide (KIP-848): Kafka 4.0 and later.
    Consumer,
}

/// What is done with a record without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullValue {
    /// It is an event without data.
    Deliver,
    /// No event comes of it.
    Skip,
}

/// A property as it is handed to librdkafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Written in the file.
    Text(String),
    /// Found elsewhere.
    Secret(SecretRef),
}

/// One trigger's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// The topics that are read, by exact name.
    pub(crate) topics: Vec<String>,
    /// `None`: `tripline.<hub id>.<trigger>`.
    pub(crate) group_id: Option<String>,
    /// See [`GroupProtocol`].
    pub(crate) protocol: GroupProtocol,
    /// See [`Reset`].
    pub(crate) reset: Reset,
    /// See [`NullValue`].
    pub(crate) null_value: NullValue,
    /// How long records may wait in Kafka without any progress before the consumer is made anew.
    pub(crate) stall_after: Duration,
    /// Passed on to librdkafka, in file order.
    pub(crate) properties: Vec<(String, Setting)>,
}

const MIN_STALL: Duration = Duration::from_secs(10);
const DEFAULT_STALL: Duration = Duration::from_secs(300);

// === impl GroupProtocol ===

impl GroupProtocol {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Classic, Self::Consumer];

    /// Its name in configurations.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

// === impl Config ===

impl Config {
    /// Reads the table; what is wrong is recorded in it.
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let topics = table.required_such_as("topics", "[\"orders\"]");
        let topics = topics.and_then(|topics| check_topics(table, topics));
        let null_values = [("deliver", NullValue::Deliver), ("skip", NullValue::Skip)];
        let null_value = table.one_of("null_value", &null_values, Some(NullValue::Deliver));
        let stall_after = table.or("stall_after", DEFAULT_STALL);
        if stall_after < MIN_STALL {
            table.error(
                "stall_after",
                "`stall_after` is too short",
                Some("at least 10s: brokers need time to answer".to_owned()),
            );
        }
        let rest = table.rest();
        if !rest.iter().any(|(name, _)| name == "bootstrap.servers") {
            table.error(
                "",
                "missing key `bootstrap.servers`",
                Some("it takes brokers: `\"bootstrap.servers\" = \"127.0.0.1:9092\"`".to_owned()),
            );
        }
        let mut config = Self {
            topics: topics.unwrap_or_default(),
            group_id: None,
            protocol: GroupProtocol::Classic,
            reset: Reset::Latest,
            null_value: null_value?,
            stall_after,
            properties: Vec::new(),
        };
        let mut good = !config.topics.is_empty();
        let mut places = Vec::with_capacity(rest.len());
        for (name, scalar) in rest {
            places.push((name.clone(), scalar.location.clone()));
            good &= config.take(table, &name, scalar).is_some();
        }
        for (name, at) in &places {
            if let Some(why) = misplaced(name, config.protocol) {
                table.error_at(at, format!("`{name}` cannot be set"), Some(why.to_owned()));
                good = false;
            }
        }
        let connected = config.setting("bootstrap.servers").is_some();
        (good && connected && stall_after >= MIN_STALL).then_some(config)
    }

    /// The secrets that are needed to connect.
    pub(crate) fn secrets(&self) -> Vec<SecretRef> {
        let secrets = self
            .properties
            .iter()
            .filter_map(|(_, setting)| match setting {
                Setting::Secret(reference) => Some(reference.clone()),
                Setting::Text(_) => None,
            });
        secrets.collect()
    }

    /// The setting of a property, if it is there.
    pub(crate) fn setting(&self, name: &str) -> Option<&Setting> {
        let mut properties = self.properties.iter();
        properties
            .find(|(known, _)| known == name)
            .map(|(_, setting)| setting)
    }

    /// Takes one property; `None` if it is wrong.
    fn take(&mut self, table: &mut Table<'_>, name: &str, scalar: Scalar) -> Option<()> {
        match name {
            "group.id" => {
                let text = plain(table, name, &scalar)?;
                if text.is_empty() {
                    table.error_at(&scalar.location, "`group.id` is empty", None);
                    return None;
                }
                self.group_id = Some(text.to_owned());
            }
            "auto.offset.reset" => {
                let allowed = [("earliest", Reset::Earliest), ("latest", Reset::Latest)];
                self.reset = word(table, name, &scalar, &allowed)?;
            }
            "group.protocol" => {
                let allowed = GroupProtocol::ALL.map(|protocol| (protocol.word(), protocol));
                self.protocol = word(table, name, &scalar, &allowed)?;
            }
            _ => {
                let setting = check_property(table, name, scalar)?;
                self.properties.push((name.to_owned(), setting));
            }
        }
        Some(())
    }
}

fn check_topics(table: &mut Table<'_>, topics: Vec<String>) -> Option<Vec<String>> {
    if topics.is_empty() {
        table.error(
            "topics",
            "`topics` is empty",
            Some("name at least one topic".to_owned()),
        );
        return None;
    }
    for (at, topic) in topics.iter().enumerate() {
        let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        let good = (1..=249).contains(&topic.len()) && topic.bytes().all(legal);
        if !good || topic == "." || topic == ".." {
            let help = if topic.starts_with('^') {
                "topics are named one by one, not by a pattern"
            } else {
                "1 to 249 characters out of a-z, A-Z, 0-9, `.`, `_` and `-`"
            };
            let message = format!("`{}` is not the name of a topic", topic.escape_debug());
            table.error("topics", message, Some(help.to_owned()));
            return None;
        }
        if topics[..at].contains(topic) {
            table.error(
                "topics",
                format!("the topic `{topic}` is named twice"),
                None,
            );
            return None;
        }
    }
    Some(topics)
}

fn check_property(table: &mut Table<'_>, name: &str, scalar: Scalar) -> Option<Setting> {
    let at = &scalar.location;
    match verdict(name) {
        Verdict::Allowed => {}
        Verdict::Secret if scalar.secret.is_some() => {}
        Verdict::Secret => {
            let help = "use { env = \"NAME\" } or { file = \"path\" }".to_owned();
            let message = format!("`{name}` is a secret and is not written in the file");
            table.error_at(at, message, Some(help));
            return None;
        }
        Verdict::Refused(why) => {
            table.error_at(at, format!("`{name}` cannot be set"), Some(why.to_owned()));
            return None;
        }
        Verdict::Unknown => {
            unknown(table, name, at);
            return None;
        }
    }
    if let Some(reference) = scalar.secret {
        return Some(Setting::Secret(reference));
    }
    if let Some(unit) = counts(name)
        && scalar.text.parse::<i64>().is_err()
    {
        let help = format!("write a whole number of {unit}, without a unit");
        table.error_at(at, format!("wrong value for `{name}`"), Some(help));
        return None;
    }
    // librdkafka knows the range of each of its properties; this touches neither network nor disk.
    let mut probe = ClientConfig::new();
    probe.set(name, &scalar.text);
    if let Err(error) = probe.create_native_config() {
        let why = match error {
            KafkaError::ClientConfig(_, why, ..) => why.trim_end().to_owned(),
            // Text with a zero byte, which would end it for librdkafka.
            other => other.to_string(),
        };
        table.error_at(at, format!("wrong value for `{name}`"), Some(why));
        return None;
    }
    Some(Setting::Text(scalar.text))
}

fn unknown(table: &mut Table<'_>, name: &str, at: &Location) {
    let own = [
        "topics",
        "null_value",
        "stall_after",
        "group.id",
        "auto.offset.reset",
        "group.protocol",
    ];
    let near = match name {
        "brokers" | "bootstrap_servers" | "servers" => Some("bootstrap.servers"),
        _ => nearest(name, settable().chain(own)),
    };
    if near.is_some_and(|near| verdict(near) == Verdict::Secret) {
        table.conceal_at(at);
    }
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<&str> = own.into_iter().chain(settable()).collect();
            format!("allowed here: {}", names.join(", "))
        }
    };
    table.error_at(
        at,
        format!("unknown key `{}`", name.escape_debug()),
        Some(help),
    );
}

/// The text of a property that is no secret.
fn plain<'s>(table: &mut Table<'_>, name: &str, scalar: &'s Scalar) -> Option<&'s str> {
    if scalar.secret.is_some() {
        let help = Some("write its value".to_owned());
        table.error_at(&scalar.location, format!("`{name}` is no secret"), help);
        return None;
    }
    Some(&scalar.text)
}

/// One of a closed set of words.
fn word<T: Copy>(
    table: &mut Table<'_>,
    name: &str,
    scalar: &Scalar,
    allowed: &[(&str, T)],
) -> Option<T> {
    let text = plain(table, name, scalar)?;
    if let Some((_, value)) = allowed.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let words: Vec<String> = allowed
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect();
    let message = format!("unknown value `{}` for `{name}`", text.escape_debug());
    table.error_at(
        &scalar.location,
        message,
        Some(format!("allowed: {}", words.join(", "))),
    );
    None
}

#[cfg(test)]
mod tests;
