//! `cargo xtask kafka`: topics and records by Kafka's own tools, so that trying the hub needs no
//! other client.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::failure::{Failure, Outcome};
use crate::process::{self, Logged};
use crate::services::KafkaHome;

const TOOL_LIMIT: Duration = Duration::from_secs(60);

/// Stands between key and value on a producer line; the tool knows no escape for it.
const SEPARATOR: char = '\t';

/// The `kafka` command line.
#[derive(Args)]
pub(crate) struct KafkaArgs {
    /// Broker as host:port
    #[arg(
        long,
        env = "KAFKA_BOOTSTRAP",
        global = true,
        default_value = "127.0.0.1:9092"
    )]
    bootstrap: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Produce one record
    ///
    /// Example: cargo xtask kafka --bootstrap 127.0.0.1:9092 produce orders --key 42 '{"item": 7}'
    Produce {
        topic: String,
        /// Key of the record; without it the record has none
        #[arg(long)]
        key: Option<String>,
        /// Value of the record, one line of text
        value: String,
    },
    /// Make a topic; one that exists is left as it is
    Topic {
        topic: String,
        #[arg(long, default_value_t = 3)]
        partitions: u16,
    },
}

/// Does one thing with the broker.
pub(crate) fn run(args: &KafkaArgs) -> Outcome<u8> {
    let home = KafkaHome::installed()?;
    match &args.verb {
        Verb::Produce { topic, key, value } => {
            produce(&home, &args.bootstrap, topic, key.as_deref(), value)?;
            println!("produced one record to {topic}");
        }
        Verb::Topic { topic, partitions } => {
            create_topic(&home, &args.bootstrap, topic, *partitions)?;
            println!("topic {topic} is there");
        }
    }
    Ok(0)
}

/// Makes a topic unless it exists.
pub(crate) fn create_topic(
    home: &KafkaHome,
    bootstrap: &str,
    topic: &str,
    partitions: u16,
) -> Outcome<()> {
    let partitions = partitions.to_string();
    let args = [
        "--create",
        "--if-not-exists",
        "--topic",
        topic,
        "--partitions",
        &partitions,
    ];
    tool(
        home,
        "org.apache.kafka.tools.TopicCommand",
        bootstrap,
        &args,
        None,
    )
}

fn produce(
    home: &KafkaHome,
    bootstrap: &str,
    topic: &str,
    key: Option<&str>,
    value: &str,
) -> Outcome<()> {
    let line = record_line(key, value)?;
    let separator = format!("key.separator={SEPARATOR}");
    let mut args = vec!["--topic", topic, "--max-block-ms", "10000"];
    if key.is_some() {
        args.extend([
            "--reader-property",
            "parse.key=true",
            "--reader-property",
            &separator,
        ]);
    }
    tool(
        home,
        "org.apache.kafka.tools.ConsoleProducer",
        bootstrap,
        &args,
        Some(&line),
    )
}

/// The producer reads one record a line.
fn record_line(key: Option<&str>, value: &str) -> Outcome<String> {
    let key_fits = key.is_none_or(|key| !key.contains([SEPARATOR, '\n', '\r']));
    if !key_fits || value.contains(['\n', '\r']) {
        return Err(Failure::new(
            "a key without tabs and one line of text are all this can send",
        ));
    }
    Ok(key.map_or_else(
        || format!("{value}\n"),
        |key| format!("{key}{SEPARATOR}{value}\n"),
    ))
}

fn tool(
    home: &KafkaHome,
    class: &str,
    bootstrap: &str,
    args: &[&str],
    input: Option<&str>,
) -> Outcome<()> {
    let dir = tempfile::tempdir().map_err(|error| Failure::new(format!("no folder: {error}")))?;
    let mut command = home.tool(class, &["--bootstrap-server", bootstrap])?;
    command.args(args);
    let stdin = dir.path().join("stdin");
    fs::write(&stdin, input.unwrap_or_default())
        .map_err(|error| Failure::file("write", &stdin, error))?;
    let log = dir.path().join("tool.log");
    let what = class.rsplit('.').next().unwrap_or(class);
    let tool = Logged::spawn_reading(&mut command, &stdin, &log)?;
    tool.wait_success(what, TOOL_LIMIT)?;
    complain(what, &log)
}

/// The console producer ends with success even when the broker refused the record.
fn complain(what: &str, log: &Path) -> Outcome<()> {
    let text = process::read_lossy(log);
    match text.contains("ERROR ") {
        true => Err(process::with_tail(
            Failure::new(format!("{what} failed")),
            log,
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        assert_eq!(record_line(None, "a\tb").ok().as_deref(), Some("a\tb\n"));
        assert_eq!(record_line(Some("k"), "v").ok().as_deref(), Some("k\tv\n"));
        assert!(record_line(Some("k\t"), "v").is_err());
        assert!(record_line(None, "one\ntwo").is_err());
    }
}
