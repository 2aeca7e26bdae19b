//! A second consumer that reads one partition at one offset, only to see what is there.
//!
//! librdkafka reports of a batch that it cannot unpack where the batch begins, but through its safe interface not of
//! which partition, and nowhere where the batch ends. A reader is given one partition, so every report is about that one.

use std::sync::Mutex;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;
use tripline_model::lock;

use crate::consumer::close;

/// One answer from a broker, at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a broker may take to report where a partition ends; a stop waits for it, and then for the reader's end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// One poll, at most.
const TURN: Duration = Duration::from_millis(50);

/// One record is enough to see that there is one, and nothing is ever committed.
const READING: [(&str, &str); 8] = [
    ("enable.auto.commit", "false"),
    ("enable.partition.eof", "true"),
    ("fetch.error.backoff.ms", "0"),
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.wait.max.ms", "10"),
    ("queued.max.messages.kbytes", "1"),
    ("queued.min.messages", "1"),
    ("statistics.interval.ms", "0"),
];

/// What is there from an offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum There {
    /// A record that can be read.
    Record,
    /// Nothing yet.
    End,
    /// A batch that cannot be read, and where it begins.
    Unreadable(u64),
}

/// Reads one partition at a time.
pub(crate) struct Reader {
    consumer: Option<BaseConsumer<Words>>,
}

/// The text of librdkafka's last error.
#[derive(Default)]
struct Words(Mutex<String>);

impl ClientContext for Words {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {
        // The trigger's own consumer says the same.
    }

    fn error(&self, _: KafkaError, words: &str) {
        words.clone_into(&mut lock(&self.0));
    }
}

impl ConsumerContext for Words {}

// === impl Reader ===

impl Reader {
    /// Like the trigger's consumer, and in the same group for the sake of its rights, but never a member of it.
    pub(crate) fn new(client: &ClientConfig) -> Result<Self, String> {
        let mut client = client.clone();
        client.remove("debug");
        for (name, value) in READING {
            client.set(name, value);
        }
        let consumer = client.create_with_context(Words::default());
        let consumer = consumer.map_err(|error| error.to_string())?;
        Ok(Self {
            consumer: Some(consumer),
        })
    }

    /// The offset that the next record gets.
    pub(crate) fn end(&self, (topic, partition): (&str, i32)) -> Result<u64, String> {
        let consumer = self.consumer.as_ref().expect("it is there until the end");
        let bounds = consumer.fetch_watermarks(topic, partition, END_WITHIN);
        let (_, end) = bounds.map_err(|error| error.to_string())?;
        Ok(u64::try_from(end).unwrap_or(0))
    }

    /// librdkafka's words about the batch that it could not read last.
    pub(crate) fn words(&self) -> String {
        let consumer = self.consumer.as_ref().expect("it is there until the end");
        lock(&consumer.context().0).clone()
    }

    /// What is in the partition from `offset` on; `stops` is set when nobody waits for the answer any more.
    pub(crate) fn look(
        &self,
        (topic, partition): (&str, i32),
        offset: u64,
        stops: impl Fn() -> bool,
    ) -> Result<There, String> {
        let consumer = self.consumer.as_ref().expect("it is there until the end");
        let mut list = TopicPartitionList::new();
        let at = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, partition, at)
            .and_then(|()| consumer.assign(&list))
            .map_err(|error| error.to_string())?;
        let until = Instant::now() + ANSWER_WITHIN;
        let mut why = "the brokers do not answer".to_owned();
        while Instant::now() < until && !stops() {
            match consumer.poll(TURN) {
                None => {}
                Some(Ok(_)) => return Ok(There::Record),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(There::End),
                Some(Err(KafkaError::MessageConsumption(code))) if is_unreadable(code) => {
                    let words = self.words();
                    let begins = batch_in(&words).ok_or(words)?;
                    return Ok(There::Unreadable(begins));
                }
                Some(Err(error)) => why = error.to_string(),
            }
        }
        Err(why)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            close(consumer);
        }
    }
}

/// Whether an error is of a batch that cannot be unpacked, or whose checksum is wrong (`check.crcs`). librdkafka reads
/// such a batch again and again.
pub(crate) fn is_unreadable(code: Code) -> bool {
    matches!(code, Code::BadCompression | Code::BadMessage)
}

/// The offset of a batch in librdkafka's words about it.
pub(crate) fn batch_in(words: &str) -> Option<u64> {
    let (_, rest) = words.split_once(" at ")?;
    let rest = rest.strip_prefix("offset ").unwrap_or(rest);
    let digits = rest.split(|sign: char| !sign.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The first offset that is behind the batch that begins at `batch` and holds `inside`; `look` sees what is at an
/// offset below `end`. Steps that double and are halved again find it in as few looks as the batch's length has digits
/// in base two, twice; no offset is taken for part of the batch that is not.
pub(crate) fn behind(
    batch: u64,
    mut inside: u64,
    end: u64,
    mut look: impl FnMut(u64) -> Result<There, String>,
) -> Result<u64, String> {
    let mut is_inside = |offset| Ok::<_, String>(look(offset)? == There::Unreadable(batch));
    if end <= inside {
        return Err("the partition is shorter than before".to_owned());
    }
    let mut step = 1;
    let mut behind = loop {
        let asked = inside.saturating_add(step);
        if asked >= end {
            break end;
        }
        if !is_inside(asked)? {
            break asked;
        }
        inside = asked;
        step *= 2;
    };
    while behind - inside > 1 {
        let asked = inside + (behind - inside) / 2;
        if is_inside(asked)? {
            inside = asked;
        } else {
            behind = asked;
        }
    }
    Ok(behind)
}

#[cfg(test)]
mod tests;
