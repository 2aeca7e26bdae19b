//! Stores whose clock is not the hub's: what is old and what is new goes by the store's.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tripline_config::{Document, Secret};
use tripline_trigger::TriggerState;
use tripline_trigger::testkit::{ChaosProxy, Network, RecordingDispatch, Run, TestContext};

use super::store::{Store, minio_line};
use super::webhook::{post, receiving};
use super::{around, noon, subjects, table, trigger};
use crate::backlog::Backlog;
use crate::client::Bucket;
use crate::config::Config;
use crate::event::Source;
use crate::intake::Intake;
use crate::inventory::Inventory;
use crate::reconcile::{Outcome, Pass};
use crate::tally::Tally;

fn poll(endpoint: &str, around: &TestContext) -> Run {
    around.run(trigger(endpoint, "mode = 'poll'\ninterval = '100ms'\n"))
}

/// Stops a trigger that has listed a few times more, and says what it has fired for.
async fn fired(store: &Store, around: &TestContext, run: Run) -> Vec<String> {
    around.dispatch().wait_accepted(1).await;
    store.wait_listings(store.listings() + 2).await;
    run.stop(Duration::from_secs(5)).await.unwrap();
    let offered = around.dispatch().offered();
    subjects(&offered).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_was_there_before_the_first_listing_is_told_by_the_stores_clock() {
    for ahead in [-600, 0, 600] {
        let (store, around) = (Store::start().await, around());
        store.set_clock(Some(noon(ahead)));
        store.put("before", "", "e", noon(ahead - 60));
        store.put("meanwhile", "", "e", noon(ahead + 3));
        let run = poll(&store.endpoint, &around);
        let fired = fired(&store, &around, run).await;
        assert_eq!(fired, ["meanwhile"], "{ahead} s ahead");
    }
}

#[tokio::test]
async fn a_store_that_tells_no_time_is_taken_to_have_the_hubs() {
    let (store, around) = (Store::start().await, around());
    store.set_clock(None);
    store.put("before", "", "e", noon(-60));
    store.put("meanwhile", "", "e", noon(3));
    let run = poll(&store.endpoint, &around);
    assert_eq!(fired(&store, &around, run).await, ["meanwhile"]);
}

/// The hub's own clock, ten minutes ahead, would swallow for good what is put meanwhile.
#[tokio::test]
async fn a_store_that_is_away_at_first_is_asked_for_its_time_again() {
    let (store, around) = (Store::start().await, around());
    store.set_clock(Some(noon(-600)));
    let server = store.endpoint.strip_prefix("http://").unwrap();
    let proxy = ChaosProxy::start(server.parse().unwrap());
    proxy.set(Network::Refuse);
    let run = poll(&format!("http://{}", proxy.address()), &around);
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.unwrap();
    assert!(error.contains("cannot be asked for its time"), "{error}");
    assert_eq!(around.cursors().all(around.name()), []);
    store.put("before", "", "e", noon(-660));
    store.put("meanwhile", "", "e", noon(-597));
    proxy.set(Network::Pass);
    assert_eq!(fired(&store, &around, run).await, ["meanwhile"]);
}

async fn pass(store: &Store, around: &TestContext, settle: &str) -> Outcome {
    let more = format!("mode = 'listen'\nsettle = '{settle}'\n");
    let config = Document::new("test.toml", table(&store.endpoint, &more));
    let config = config.read(Config::read).unwrap();
    let keys = ["access", "secret"].map(Secret::new);
    let bucket = Bucket::open(&config, &keys[0], &keys[1]).unwrap();
    let cx = around.context();
    let intake = Intake {
        inventory: Inventory::new(cx.name().clone(), Arc::clone(cx.cursors())),
        locks: Arc::default(),
        tally: Tally::new(cx.clone()),
        backlog: Backlog::default(),
        source: Source {
            uri: "s3://store/uploads".to_owned(),
            bucket: "uploads".to_owned(),
        },
        config,
        cx,
    };
    let pass = Pass::begin(&intake, &bucket).await.unwrap();
    pass.run().await.unwrap()
}

#[tokio::test]
async fn an_object_newer_than_now_has_settled_so_much_later() {
    let (store, around) = (Store::start().await, around());
    assert!(pass(&store, &around, "10s").await.first);
    store.put("ahead", "", "e", noon(600));
    // Not in 10 s, or the bucket would be listed every 10 s until then.
    for (passed, left) in [(0, 610), (595, 15), (14, 1)] {
        around.clock().advance(Duration::from_secs(passed));
        let outcome = pass(&store, &around, "10s").await;
        assert_eq!(outcome.unsettled, Some(Duration::from_secs(left)));
        assert_eq!(outcome.found, 0);
    }
    around.clock().advance(Duration::from_secs(1));
    let outcome = pass(&store, &around, "10s").await;
    assert_eq!((outcome.unsettled, outcome.found), (None, 1));
}

const LISTED: &str = "settle = '0s'\nreconcile_interval = '100ms'\n";

/// The same hub so much later that no identity is remembered; the inventory is.
fn days_later(before: &TestContext, days: u64) -> TestContext {
    let forgetful = RecordingDispatch::new(Arc::clone(before.cursors()));
    let after = around().with_dispatch(Arc::new(forgetful));
    after.clock().advance(Duration::from_secs(days * 24 * 3600));
    after
}

/// A notification of `k`, put a minute before noon, in a POST.
fn body_of(source: &str, version: &str, name: &str) -> String {
    let mut body: Value = serde_json::from_str(&minio_line("k", "e", noon(-60))).unwrap();
    let record = &mut body["Records"][0];
    record["eventSource"] = source.into();
    record["eventName"] = name.into();
    record["s3"]["object"]["versionId"] = version.into();
    body.to_string()
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

/// The store's queue was blocked for a week, or it repeats what it had delivered.
#[tokio::test]
async fn what_the_inventory_has_is_known_after_the_window() {
    // A sequencer that is an instant, a version, and neither.
    for (source, version) in [("minio:s3", ""), ("minio:s3", "v1"), ("aws:s3", "")] {
        for listed_first in [true, false] {
            let (store, before) = (Store::start().await, around());
            if !version.is_empty() {
                store.set_versioned();
            }
            let body = body_of(source, version, "ObjectCreated:Put");
            let run = receiving(&store, &before, LISTED).await;
            if !listed_first {
                assert_eq!(post(&before, &body).await, StatusCode::OK);
            }
            store.put("k", version, "e", noon(-60));
            before.dispatch().wait_accepted(1).await;
            store.wait_listings(store.listings() + 3).await;
            stop(run).await;
            let after = days_later(&before, 8);
            let run = receiving(&store, &after, LISTED).await;
            assert_eq!(post(&after, &body).await, StatusCode::OK);
            store.wait_listings(store.listings() + 3).await;
            stop(run).await;
            let what = format!("{source} {version:?}, listed first: {listed_first}");
            assert_eq!(after.dispatch().offered(), [], "{what}");
        }
    }
}

#[tokio::test]
async fn what_a_listing_could_not_know_fires_however_late() {
    let copies = format!("{LISTED}events = ['s3:ObjectCreated:Copy']\n");
    for source in ["minio:s3", "aws:s3"] {
        let (store, before) = (Store::start().await, around());
        let run = receiving(&store, &before, &copies).await;
        store.put("k", "", "e", noon(-60));
        store.wait_listings(store.listings() + 3).await;
        stop(run).await;
        assert_eq!(before.dispatch().offered(), [], "taken for a put");
        let after = days_later(&before, 8);
        let run = receiving(&store, &after, &copies).await;
        let body = body_of(source, "", "ObjectCreated:Copy");
        assert_eq!(post(&after, &body).await, StatusCode::OK);
        stop(run).await;
        assert_eq!(after.dispatch().accepted().len(), 1, "{source}");
        let again = days_later(&after, 16);
        let run = receiving(&store, &again, &copies).await;
        assert_eq!(post(&again, &body).await, StatusCode::OK);
        stop(run).await;
        assert_eq!(again.dispatch().offered(), [], "{source}");
    }
}

#[tokio::test]
async fn a_late_notification_of_what_was_replaced_leaves_the_inventory_alone() {
    let (store, before) = (Store::start().await, around());
    let run = receiving(&store, &before, LISTED).await;
    store.put("k", "", "newer", noon(-30));
    before.dispatch().wait_accepted(1).await;
    stop(run).await;
    let after = days_later(&before, 8);
    let run = receiving(&store, &after, LISTED).await;
    let body = body_of("minio:s3", "", "ObjectCreated:Put");
    assert_eq!(post(&after, &body).await, StatusCode::OK);
    store.wait_listings(store.listings() + 3).await;
    stop(run).await;
    let offered = after.dispatch().offered();
    let etags: Vec<&str> = offered
        .iter()
        .map(|offer| offer.event.extensions["s3etag"].as_str())
        .collect();
    assert_eq!(etags, ["e"], "the newer state fired again");
}
