//! The figures of a consumer, and of one that has ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use rdkafka::client::ClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::statistics::{Broker, ConsumerGroup, Partition, Statistics, Topic, TopicPartition};
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tripline_trigger::testkit::{PATIENCE, TestContext};
use tripline_trigger::{FactValue, Trigger, TriggerContext, TriggerError};

use super::Hasty;
use crate::context::Callbacks;
use crate::health::Health;
use crate::session::{Client, Session, Setup};

/// Keeps the only gauge that there is.
#[derive(Default)]
struct OneGauge(Arc<AtomicU64>);

// === impl OneGauge ===

impl OneGauge {
    fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Recorder for OneGauge {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        assert_eq!(key.name(), "tripline_kafka_lag");
        Gauge::from_arc(Arc::clone(&self.0))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Of a consumer whose brokers and group answer.
fn well() -> Statistics {
    let broker = Broker {
        nodeid: 1,
        state: "UP".to_owned(),
        ..Broker::default()
    };
    let group = ConsumerGroup {
        state: "up".to_owned(),
        ..ConsumerGroup::default()
    };
    Statistics {
        brokers: HashMap::from([("one".to_owned(), broker)]),
        cgrp: Some(group),
        ..Statistics::default()
    }
}

/// What else a consumer needs: partition 0 of `orders` at a broker that is not connected.
fn far() -> Statistics {
    let broker = Broker {
        nodeid: 2,
        state: "INIT".to_owned(),
        // As librdkafka reports it, whoever reads the partition.
        toppars: HashMap::from([("orders-0".to_owned(), TopicPartition::default())]),
        ..Broker::default()
    };
    let partition = Partition {
        broker: 2,
        leader: 2,
        ..Partition::default()
    };
    let topic = Topic {
        topic: "orders".to_owned(),
        partitions: HashMap::from([(0, partition)]),
        ..Topic::default()
    };
    let mut statistics = well();
    statistics.brokers.insert("two".to_owned(), broker);
    statistics.topics.insert("orders".to_owned(), topic);
    statistics
}

/// A consumer that is never connected.
fn consumer(cx: &TriggerContext) -> Client {
    let (out, _) = mpsc::channel(1);
    let (_, back) = mpsc::channel(1);
    let hasty = Hasty::new("127.0.0.1:1", "orders");
    let setup = Setup {
        cx: cx.clone(),
        client: ClientConfig::new(),
        config: Arc::new(hasty.config),
        health: Arc::new(Health::new(cx.clone(), Vec::new())),
        pacing: hasty.pacing,
        runtime: Handle::current(),
        out,
        back,
    };
    let callbacks = Callbacks::new(Session::new(setup));
    ClientConfig::new().create_with_context(callbacks).unwrap()
}

#[tokio::test]
async fn a_broker_is_needed_for_what_is_read_from_it() {
    let around = TestContext::new("orders");
    for (ours, is_paused, is_well) in [
        (("orders", 1), false, true),
        (("others", 0), false, true),
        (("orders", 0), false, false),
        (("orders", 0), true, true),
    ] {
        let recorder = OneGauge::default();
        with_local_recorder(&recorder, || {
            let consumer = consumer(&around.context());
            let callbacks = consumer.context();
            let place = (ours.0.to_owned(), ours.1);
            callbacks.session().pretend(place, is_paused);
            callbacks.stats(far());
        });
        let is_known = !recorder.value().is_nan();
        assert_eq!(is_known, is_well, "{ours:?}, paused: {is_paused}");
    }
}

#[tokio::test]
async fn a_lag_that_nobody_measures_any_more_is_no_number() {
    let around = TestContext::new("orders");
    let recorder = OneGauge::default();
    with_local_recorder(&recorder, || {
        let consumer = consumer(&around.context());
        let callbacks = consumer.context();
        callbacks.stats(well());
        assert!(recorder.value().is_nan(), "nothing is planned");
        let none = TopicPartitionList::new();
        callbacks.session().assigned(&consumer, &none);
        for (statistics, is_known) in [
            (Statistics::default(), false),
            (well(), true),
            (Statistics::default(), false),
            (well(), true),
        ] {
            callbacks.stats(statistics);
            assert_eq!(recorder.value() == 0.0, is_known);
            assert_eq!(recorder.value().is_nan(), !is_known);
        }
        callbacks.session().close(&consumer);
        assert!(recorder.value().is_nan());
        // Words that come while the consumer leaves its group.
        callbacks.stats(well());
        assert!(recorder.value().is_nan());
    });
}

#[tokio::test]
async fn a_lag_is_no_number_while_nothing_is_assigned() {
    let around = TestContext::new("orders");
    let recorder = OneGauge::default();
    with_local_recorder(&recorder, || {
        let consumer = consumer(&around.context());
        let callbacks = consumer.context();
        let none = TopicPartitionList::new();
        for round in ["at first", "after a rebalance"] {
            callbacks.session().assigned(&consumer, &none);
            callbacks.session().pretend(("others".to_owned(), 1), false);
            callbacks.stats(well());
            assert_eq!(recorder.value(), 0.0, "{round}");
            // Not in the cooperative way, so all is taken.
            callbacks.session().revoked(&consumer, &none);
            assert!(recorder.value().is_nan(), "at once, {round}");
            callbacks.stats(well());
            assert!(recorder.value().is_nan(), "as long as it takes, {round}");
        }
    });
}

/// Measures with one consumer and closes it on request, as before another is made.
#[derive(Default)]
struct Measuring {
    enough: Notify,
}

impl Trigger for Measuring {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let consumer = consumer(&cx);
        let callbacks = consumer.context();
        let place = ("orders".to_owned(), 0);
        callbacks.session().pretend(place, false);
        callbacks.stats(well());
        self.enough.notified().await;
        callbacks.session().close(&consumer);
        cx.shutdown().cancelled().await;
        Ok(())
    }
}

#[tokio::test]
async fn the_lag_of_a_closed_consumer_is_no_fact_of_the_trigger() {
    let around = TestContext::new("orders");
    let measuring = Arc::new(Measuring::default());
    let run = around.run(Arc::clone(&measuring));
    super::until_fact(&run, "lag", 0_u64).await;
    measuring.enough.notify_one();
    super::until("the fact is taken back", || {
        (!run.status().facts.contains_key("lag")).then_some(())
    })
    .await;
    run.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn each_run_tells_its_facts_from_the_start() {
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new("127.0.0.1:1", "orders").build());
    super::until_fact(&run, "paused", false).await;
    super::until_fact(&run, "partitions", 0_u64).await;
    assert_eq!(run.status().facts["skipped"], FactValue::Count(0));
    assert_eq!(run.status().facts["rebuilds"], FactValue::Count(0));
    run.stop(PATIENCE).await.unwrap();
}
