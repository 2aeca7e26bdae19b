//! What is told of a consumer, and of one that is no more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use rdkafka::client::ClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::statistics::{Broker, ConsumerGroup, Statistics};
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tripline_trigger::FactValue;
use tripline_trigger::testkit::TestContext;

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

#[tokio::test]
async fn a_lag_that_nobody_measures_any_more_is_no_number() {
    let around = TestContext::new("orders");
    let (out, _records) = mpsc::channel(1);
    let (_settled, back) = mpsc::channel(1);
    let hasty = Hasty::new("127.0.0.1:1", "orders");
    let setup = Setup {
        cx: around.context(),
        config: Arc::new(hasty.config),
        health: Arc::new(Health::new(around.context(), Vec::new())),
        pacing: hasty.pacing,
        runtime: Handle::current(),
        out,
        back,
    };
    let recorder = OneGauge::default();
    with_local_recorder(&recorder, || {
        let callbacks = Callbacks::new(Session::new(setup));
        let consumer: Client = ClientConfig::new().create_with_context(callbacks).unwrap();
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
async fn each_run_tells_its_facts_from_the_start() {
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new("127.0.0.1:1", "orders").build());
    super::until_fact(&run, "paused", false).await;
    super::until_fact(&run, "partitions", 0_u64).await;
    assert_eq!(run.status().facts["skipped"], FactValue::Count(0));
    assert_eq!(run.status().facts["rebuilds"], FactValue::Count(0));
    run.stop(tripline_trigger::testkit::PATIENCE).await.unwrap();
}
