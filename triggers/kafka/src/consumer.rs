//! The consumer's own thread: polls at least ten times a second, whatever the hub does.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use tokio_util::sync::CancellationToken;

use crate::context::Callbacks;
use crate::session::{Client, Ending, Session, Setup};

/// One turn of the loop, at most.
const TURN: Duration = Duration::from_millis(100);

/// How long a consumer may take to commit and to leave its group.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How long the cluster's id is waited for before callbacks get their turn.
const CONNECT_TURN: Duration = Duration::from_millis(500);

/// Consumes until told to stop, or until this consumer is of no use any more. Blocks.
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
fn close(consumer: Client) {
    let (tell, closed) = sync_channel(1);
    let closer = std::thread::Builder::new().name("kafka-close".to_owned());
    let closing = closer.spawn(move || {
        drop(consumer);
        // Nobody listens any more if it took too long.
        let _ = tell.send(());
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
        // Serves what librdkafka has to say about the connection.
        drop(consumer.poll(TURN));
        if let Some(cluster) = consumer.client().fetch_cluster_id(CONNECT_TURN) {
            break cluster;
        }
    };
    consumer.context().session().connected(cluster);
    learn_topics(consumer, topics);
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
    let has_pending = session.has_pending();
    drop(session);
    // What is there is taken without waiting, so that one hand-over holds as much as possible.
    let wait = if has_pending { Duration::ZERO } else { TURN };
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

/// Asks for the topics before the group does, so that their ids are known when partitions are planned.
fn learn_topics(consumer: &Client, topics: &[String]) {
    for topic in topics {
        // Whether it is there is looked after in the session.
        drop(consumer.fetch_metadata(Some(topic), Duration::from_secs(5)));
    }
    // The ids come as log lines, which are served by polling.
    drop(consumer.poll(TURN));
}
