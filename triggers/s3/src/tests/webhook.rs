//! The receiver, fed with what real servers sent.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::StatusCode;
use tripline_model::Rejected;
use tripline_trigger::testkit::{Run, TestContext};
use tripline_trigger::{FactValue, Trigger, TriggerState};

use super::fixtures::webhook_bodies;
use super::store::Store;
use super::{around, is_synthetic, noon, subjects, trigger};
use crate::webhook::MAX_TAKING;

const HOOK: &str = "mode = 'webhook'\nroute = 'POST /s3/uploads'\n";
const AUTH: &str = "auth = { bearer = { env = 'T' } }\n";

pub(super) async fn receiving(store: &Store, around: &TestContext, more: &str) -> Run {
    let run = around.run(trigger(&store.endpoint, &format!("{HOOK}{AUTH}{more}")));
    run.wait_state(TriggerState::Running).await;
    run
}

pub(super) async fn send(app: &Router, token: &str, body: impl Into<Body>) -> (StatusCode, bool) {
    let request = Request::post("/s3/uploads")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(app.clone(), request)
        .await
        .unwrap();
    (
        answer.status(),
        answer.headers().contains_key("retry-after"),
    )
}

pub(super) async fn post(around: &TestContext, body: &str) -> StatusCode {
    send(&around.gateway().router(), "test-token", body.to_owned())
        .await
        .0
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn every_recorded_post_is_answered_and_sent_again_is_known() {
    for (server, created) in [("minio", 25), ("versitygw", 26)] {
        let (store, around) = (Store::start().await, around());
        let run = receiving(&store, &around, "").await;
        for _ in 0..3 {
            for body in webhook_bodies(server) {
                assert_eq!(post(&around, &body).await, StatusCode::OK);
            }
        }
        assert_eq!(around.dispatch().accepted().len(), created, "{server}");
        assert_eq!(run.status().facts["skipped"], FactValue::Count(0));
        stop(run).await;
    }
}

#[tokio::test]
async fn a_packed_post_is_refused_instead_of_skipped() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let request = Request::post("/s3/uploads")
        .header("authorization", "Bearer test-token")
        .header("content-encoding", "gzip")
        .body(Body::from(webhook_bodies("minio")[0].clone()))
        .unwrap();
    let app = around.gateway().router();
    let answer = tower::ServiceExt::oneshot(app, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(run.status().facts["skipped"], FactValue::Count(0));
    stop(run).await;
}

#[tokio::test]
async fn a_wrong_token_gets_nowhere() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let app = around.gateway().router();
    let body = webhook_bodies("minio")[0].clone();
    assert_eq!(
        send(&app, "wrong", body.clone()).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(send(&app, "", body).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(around.dispatch().offered(), []);
    stop(run).await;
}

#[tokio::test]
async fn what_can_never_be_read_does_not_block_the_queue() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    for body in ["{", "{}", "", r#"{"Records":[7]}"#, &"x".repeat(2 << 20)] {
        assert_eq!(post(&around, body).await, StatusCode::OK);
    }
    assert_eq!(run.status().facts["skipped"], FactValue::Count(5));
    for fine in [
        r#"{"Records":null}"#,
        r#"{"Event":"s3:TestEvent","Service":"S3"}"#,
    ] {
        assert_eq!(post(&around, fine).await, StatusCode::OK);
    }
    assert_eq!(run.status().facts["skipped"], FactValue::Count(5));
    around
        .dispatch()
        .reject_next(Rejected::TooLarge { size: 9, limit: 1 });
    assert_eq!(
        post(&around, &webhook_bodies("minio")[0]).await,
        StatusCode::OK
    );
    assert_eq!(run.status().facts["skipped"], FactValue::Count(6));
    stop(run).await;
}

#[tokio::test]
async fn a_passing_refusal_asks_to_come_again() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let over = Rejected::OverLimit {
        retry_after: Duration::from_millis(300),
        scope: "the hub".to_owned(),
        limit: 1,
    };
    let app = around.gateway().router();
    let body = webhook_bodies("minio")[0].clone();
    for rejected in [
        over,
        Rejected::Draining,
        Rejected::StorageFull,
        Rejected::Unavailable,
    ] {
        around.dispatch().reject_all(Some(rejected));
        let refused = send(&app, "test-token", body.clone()).await;
        assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, true));
    }
    around.dispatch().reject_all(None);
    assert_eq!(send(&app, "test-token", body).await.0, StatusCode::OK);
    assert_eq!(around.dispatch().accepted().len(), 1);
    stop(run).await;
}

#[tokio::test]
async fn all_records_of_a_post_are_in_before_the_answer() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let records: Vec<serde_json::Value> = webhook_bodies("minio")[..10]
        .iter()
        .map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap()["Records"][0].clone())
        .collect();
    let body = serde_json::json!({ "Records": records }).to_string();
    assert_eq!(post(&around, &body).await, StatusCode::OK);
    assert_eq!(around.dispatch().accepted().len(), 10);
    // Without a receipt there is no 2xx, only a request to come again.
    around.dispatch().hold();
    let later = webhook_bodies("minio")[12].clone();
    assert_eq!(post(&around, &later).await, StatusCode::SERVICE_UNAVAILABLE);
    around.dispatch().release();
    stop(run).await;
}

/// A store whose notifications do not name the listed state: versitygw.
#[tokio::test]
async fn without_a_linking_instant_the_inventory_links() {
    let etag = "5d41402abc4b2a76b9719d911017c592";
    let first =
        |bodies: &[String]| bodies[1].replace("2026-11-24T21:17:54Z", "2026-11-24T11:59:00Z");
    let body = first(&webhook_bodies("versitygw"));
    for listed_first in [false, true] {
        let (store, around) = (Store::start().await, around());
        let more = "settle = '0s'\nreconcile_interval = '100ms'\n";
        let run = receiving(&store, &around, more).await;
        let put = || store.put("plain.txt", "", etag, noon(-61));
        if listed_first {
            put();
            around.dispatch().wait_accepted(1).await;
        }
        assert_eq!(post(&around, &body).await, StatusCode::OK);
        assert_eq!(post(&around, &body).await, StatusCode::OK);
        put();
        store.wait_listings(store.listings() + 4).await;
        assert_eq!(
            around.dispatch().accepted().len(),
            1,
            "listed first: {listed_first}"
        );
        // The server starts again, and counts from 1 again: the same bytes put again are a new event.
        let again = body.replace("T11:59:00Z", "T11:59:30Z");
        assert_eq!(post(&around, &again).await, StatusCode::OK);
        store.put("plain.txt", "", etag, noon(-30));
        store.wait_listings(store.listings() + 4).await;
        assert_eq!(
            around.dispatch().accepted().len(),
            2,
            "listed first: {listed_first}"
        );
        // And one whose notification is lost.
        store.put("plain.txt", "", etag, noon(-10));
        let accepted = around.dispatch().wait_accepted(3).await;
        assert!(is_synthetic(&accepted[2].1));
        stop(run).await;
    }
}

#[tokio::test]
async fn versions_without_ids_in_notifications_are_linked_one_by_one() {
    let (store, around) = (Store::start().await, around());
    store.set_versioned();
    let more = "settle = '0s'\nreconcile_interval = '100ms'\n";
    let run = receiving(&store, &around, more).await;
    // The same key, etag and second; only the sequencer differs.
    let bodies = webhook_bodies("versitygw");
    for body in &bodies[1..3] {
        let body = body.replace("2026-11-24T21:17:54Z", "2026-11-24T11:59:00Z");
        assert_eq!(post(&around, &body).await, StatusCode::OK);
    }
    let etag = "5d41402abc4b2a76b9719d911017c592";
    for version in ["v1", "v2", "v3"] {
        store.put("plain.txt", version, etag, noon(-60));
    }
    // Two of the three were notified.
    let accepted = around.dispatch().wait_accepted(3).await;
    store.wait_listings(store.listings() + 4).await;
    stop(run).await;
    assert_eq!(around.dispatch().accepted().len(), 3);
    assert_eq!(
        subjects(accepted.iter().map(|(_, offer)| offer)),
        ["plain.txt"; 3]
    );
}

#[tokio::test]
async fn none_lets_everybody_in() {
    let (store, around) = (Store::start().await, around());
    let text = format!("{HOOK}auth = 'none'\n");
    let kind = trigger(&store.endpoint, &text);
    assert_eq!(kind.routes().len(), 1);
    assert_eq!(kind.secrets().len(), 2);
    let run = around.run(kind);
    run.wait_state(TriggerState::Running).await;
    let app = around.gateway().router();
    let body = webhook_bodies("versitygw")[1].clone();
    assert_eq!(send(&app, "anything", body).await.0, StatusCode::OK);
    assert_eq!(around.dispatch().accepted().len(), 1);
    stop(run).await;
}

/// What is wrong, in the words of the answer.
async fn detail(app: Router, body: String) -> String {
    let request = Request::post("/s3/uploads").header("authorization", "Bearer test-token");
    let request = request.body(Body::from(body)).unwrap();
    let answer = tower::ServiceExt::oneshot(app, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await;
    let problem: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn repeats_that_wait_for_an_object_leave_places_to_others() {
    let (store, around) = (Store::start().await, around());
    let more = "settle = '0s'\nreconcile_interval = '100ms'\n";
    let run = receiving(&store, &around, more).await;
    around.dispatch().reject_all(Some(Rejected::OverLimit {
        retry_after: Duration::from_millis(50),
        scope: "the hub".to_owned(),
        limit: 1,
    }));
    // The listing holds the object while it waits for the limit.
    store.put(
        "plain.txt",
        "",
        "5d41402abc4b2a76b9719d911017c592",
        noon(-61),
    );
    around.dispatch().wait_offered(1).await;
    let body =
        webhook_bodies("versitygw")[1].replace("2026-11-24T21:17:54Z", "2026-11-24T11:59:00Z");
    let app = around.gateway().router();
    let repeats = (0..2 * MAX_TAKING).map(|_| detail(app.clone(), body.clone()));
    for why in futures_util::future::join_all(repeats).await {
        assert_eq!(why, "the same objects are being taken");
    }
    let other = webhook_bodies("minio")[0].clone();
    let why = detail(app, other).await;
    assert!(why.starts_with("over the limit"), "{why}");
    around.dispatch().reject_all(None);
    assert_eq!(post(&around, &body).await, StatusCode::OK);
    stop(run).await;
    assert_eq!(around.dispatch().accepted().len(), 1);
}
