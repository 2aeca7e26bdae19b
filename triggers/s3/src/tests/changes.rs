//! What changes at the store while the trigger runs: the bucket, its versioning, who may come in.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http::StatusCode;
use tripline_config::SecretRef;
use tripline_trigger::TriggerState;
use tripline_trigger::testkit::{Run, TestContext};

use super::fixtures::webhook_bodies;
use super::store::{Store, minio_line};
use super::webhook::{post, receiving};
use super::{around, noon, restarted, subjects, trigger};

const POLL: &str = "mode = 'poll'\ninterval = '100ms'\n";

async fn polling(store: &Store, around: &TestContext) -> Run {
    let run = around.run(trigger(&store.endpoint, POLL));
    run.wait_state(TriggerState::Running).await;
    run
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn what_is_put_into_a_bucket_made_again_is_new() {
    let (store, around) = (Store::start().await, around());
    for key in ["a", "b", "c", "d"] {
        store.put(key, "", "e", noon(-60));
    }
    let run = polling(&store, &around).await;
    store.fail(Some((StatusCode::NOT_FOUND, "NoSuchBucket")));
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.unwrap();
    assert!(error.contains("404 NoSuchBucket"), "{error}");
    ["a", "b", "c", "d"]
        .iter()
        .for_each(|key| store.remove(key));
    // The same bytes under a name of before, and one that was not there.
    store.put("a", "", "e", noon(10));
    store.put("new", "", "e", noon(10));
    store.fail(None);
    run.wait_state(TriggerState::Running).await;
    let accepted = around.dispatch().wait_accepted(2).await;
    store.wait_listings(store.listings() + 4).await;
    stop(run).await;
    assert_eq!(
        subjects(accepted.iter().map(|(_, offer)| offer)),
        ["a", "new"]
    );
    assert_eq!(around.dispatch().offered().len(), 2);
}

#[tokio::test]
async fn versioning_that_is_switched_on_repeats_nothing_and_hides_nothing() {
    let (store, around) = (Store::start().await, around());
    store.put("old", "", "e", noon(-60));
    store.put("left", "", "e", noon(-60));
    let more = "settle = '0s'\nreconcile_interval = '100ms'\n";
    let run = receiving(&store, &around, more).await;
    store.set_versioned();
    store.wait_listings(store.listings() + 4).await;
    assert_eq!(around.dispatch().offered(), [], "the objects are the same");
    // The same bytes, once notified and found, once only found.
    for (key, version, notified) in [
        ("old", "v1", true),
        ("old", "v2", false),
        ("new", "v3", true),
    ] {
        if notified {
            let named = format!("\"versionId\":\"{version}\",\"sequencer\"");
            let body = minio_line(key, "e", noon(5)).replace("\"sequencer\"", &named);
            assert_eq!(post(&around, &body).await, StatusCode::OK);
        }
        store.put(key, version, "e", noon(5));
    }
    around.dispatch().wait_accepted(3).await;
    store.wait_listings(store.listings() + 4).await;
    stop(run).await;
    let accepted = around.dispatch().accepted();
    assert_eq!(
        subjects(accepted.iter().map(|(_, offer)| offer)),
        ["new", "old", "old"]
    );
}

#[tokio::test]
async fn a_key_that_is_not_let_in_is_said_while_the_webhook_lives() {
    let (store, around) = (Store::start().await, around());
    store.admit("rotated");
    let hook = "mode = 'webhook'\nroute = 'POST /s3/uploads'\nauth = { bearer = { env = 'T' } }\n";
    let run = around.run(trigger(&store.endpoint, hook));
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.unwrap();
    assert!(error.contains("403 InvalidAccessKeyId"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    assert_eq!(
        post(&around, &webhook_bodies("minio")[0]).await,
        StatusCode::OK
    );
    assert_eq!(around.dispatch().accepted().len(), 1);
    assert_eq!(run.status().state, TriggerState::Troubled);
    // The store takes the key after all; or the hub is given the new one and starts again.
    store.admit("access");
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
    store.admit("rotated");
    let after = restarted(&around).with_secret(SecretRef::Env("A".to_owned()), "rotated");
    let run = after.run(trigger(&store.endpoint, hook));
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
}

#[tokio::test]
async fn a_key_that_is_withdrawn_while_listening_is_said_and_the_stream_comes_back() {
    let (store, around) = (Store::start().await, around());
    let listen = "mode = 'listen'\nheartbeat = '1s'\nsettle = '0s'\nreconcile_interval = '1h'\n";
    let run = around.run(trigger(&store.endpoint, listen));
    run.wait_state(TriggerState::Running).await;
    store.admit("rotated");
    store.cut();
    run.wait_state(TriggerState::Troubled).await;
    store.put("unheard", "", "e", noon(-60));
    store.admit("access");
    around.dispatch().wait_accepted(1).await;
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
}

#[tokio::test]
async fn a_missing_token_is_told_from_a_missing_route() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let status = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::from("{\"Records\":null}")).unwrap();
        let app = around.gateway().router();
        let answer = tower::ServiceExt::oneshot(app, request).await.unwrap();
        answer.status()
    };
    assert_eq!(
        status("POST", "/s3/uploads").await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status("GET", "/s3/uploads").await,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(status("POST", "/s3/else").await, StatusCode::NOT_FOUND);
    stop(run).await;
}
