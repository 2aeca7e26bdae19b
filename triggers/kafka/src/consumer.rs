//! The consumer's own thread: polls at least ten times a second, whatever the hub does.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio_util::sync::CancellationToken;

use crate::context::Callbacks;
use crate::session::{Client, Ending, Session, Setup};

/// One turn of the loop, at most.
const TURN: Duration = Duration::from_millis(100);

/// For so long librdkafka's events are served while the queue to the hub is full. (A poll without any wait
/// serves one event, and a line of its log is one: the news of a rebalance would stand in line for seconds.)
const EVENTS_TURN: Duration = Duration::from_millis(1);

/// How long a consumer may take to commit and to leave its group.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long the cluster's id is waited for before callbacks get their turn.
const CONNECT_TURN: Duration = Duration::from_millis(500);

/// Consumes until asked to stop, or until this consumer is of no use any more. Blocks.
pub(crate) fn consume(config: &ClientConfig, setup: Setup, stop: &CancellationToken) -> Ending {
    let topics = setup.config.topics.clone();
    let callbacks = Callbacks::new(Session::new(setup));
    let consumer: Client = match config.create_with_context(callbacks) {
        Ok(consumer) => consumer,
        Err(error) => return Ending::Failed(format!("the client cannot be set up: {error}")),
    };
    let ending = drive(&consumer, &topics, stop);
    consumer.context().session().close(&consumer);
    close(consumer);
    ending
}

/// Closes the consumer, which commits what is stored and leaves the group. Without brokers that takes as long as the
/// group's session: then a thread of its own is left to it, which holds nothing that anybody waits for.
pub(crate) fn close(consumer: impl Send + 'static) {
    let (done, closed) = sync_channel(1);
    let closer = std::thread::Builder::new().name("kafka-close".to_owned());
    let closing = closer.spawn(move || {
        drop(consumer);
        // Nobody listens any more if it took too long.
        let _ = done.send(());
    });
    if closing.is_ok() && closed.recv_timeout(CLOSE_WITHIN).is_err() {
        tracing::warn!("a consumer takes long to leave its group and is left to it");
    }
}

fn drive(consumer: &Client, topics: &[String], stop: &CancellationToken) -> Ending {
    let cluster = loop {
        if stop.is_cancelled() {
            return Ending::Stopped;
        }
        // Serves librdkafka's events about the connection.
        drop(consumer.poll(TURN));
        if let Some(cluster) = consumer.client().fetch_cluster_id(CONNECT_TURN) {
            break cluster;
        }
    };
    consumer.context().session().connected(cluster);
    learn_topics(consumer, topics, stop);
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    if let Err(error) = consumer.subscribe(&names) {
        return Ending::Failed(format!("the topics cannot be subscribed to: {error}"));
    }
    loop {
        if stop.is_cancelled() {
            return Ending::Stopped;
        }
        if let Some(ending) = consumer.context().session().take_ending() {
            return ending;
        }
        turn(consumer);
    }
}

fn turn(consumer: &Client) {
    let mut session = consumer.context().session();
    if session.rests() {
        session.wait_for_hub(TURN);
        session.tick(consumer, true);
        return;
    }
    let wait = if session.is_held_up() {
        EVENTS_TURN
    } else if session.has_pending() {
        // What is there is taken without waiting, so that one hand-over holds as much as possible.
        Duration::ZERO
    } else {
        TURN
    };
    drop(session);
    let polled = consumer.poll(wait);
    let mut session = consumer.context().session();
    let is_drained = polled.is_none();
    match polled {
        Some(Ok(record)) => {
            session.take(&record);
            if !session.is_full() {
                return;
            }
        }
        Some(Err(error)) => session.failed(&error),
        None => {}
    }
    session.tick(consumer, is_drained);
    if is_drained && session.has_pending() {
        // The way to the hub is full: no busy loop until it has room.
        session.wait_for_hub(TURN / 5);
    }
}

/// Asks for the topics before the group does, so that their ids are known when partitions are planned, and which
/// partitions are older than this consumer.
fn learn_topics(consumer: &Client, topics: &[String], stop: &CancellationToken) {
    for topic in topics {
        if stop.is_cancelled() {
            return;
        }
        if let Ok(count) = partitions(consumer, topic) {
            consumer.context().session().learn_partitions(topic, count);
        }
    }
    // The ids come as log lines, which are served by polling.
    drop(consumer.poll(TURN));
}

/// How many partitions a topic has: 0 if it is not there. Whether it can be read is looked after in the session.
pub(crate) fn partitions(consumer: &Client, topic: &str) -> Result<i32, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5))?;
    let mut topics = metadata.topics().iter();
    let Some(found) = topics.find(|found| found.name() == topic) else {
        return Ok(0);
    };
    match found.error().map(Code::from) {
        None => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
        Some(Code::UnknownTopicOrPartition) => Ok(0),
        Some(code) => Err(KafkaError::MetadataFetch(code)),
    }
}
