//! What no store should send: whatever it is, the answer is one that ends it, or one that asks to come again.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use tripline_trigger::FactValue;
use tripline_trigger::testkit::Run;

use super::fixtures::webhook_bodies;
use super::store::{Store, minio_line};
use super::webhook::{post, receiving, send};
use super::{around, noon, subjects};

fn record(key: &str) -> Value {
    let body: Value = serde_json::from_str(&minio_line(key, "e", noon(-60))).unwrap();
    body["Records"][0].clone()
}

/// A record with one part replaced.
fn with(path: &str, value: Value) -> Value {
    let mut record = record("spoilt");
    *record.pointer_mut(path).unwrap() = value;
    record
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn records_that_can_never_be_read_do_not_hold_up_the_good_ones() {
    let spoilt = [
        json!(null),
        json!([]),
        json!({}),
        with("/eventTime", json!("yesterday")),
        with("/eventTime", json!(1)),
        with("/eventVersion", json!("3.0")),
        with("/eventName", json!("")),
        with("/eventName", json!("x".repeat(513))),
        with("/s3", json!(null)),
        with("/s3/object", json!("spoilt")),
        with("/s3/object/key", json!("")),
        with("/s3/object/key", json!("k".repeat(1025))),
        with("/s3/object/key", json!("%FF%FE")),
        with("/s3/object/key", json!("nul%00")),
        with("/s3/object/key", json!({ "deep": [[[[1]]]] })),
        with("/s3/object/eTag", json!("e".repeat(513))),
        with("/s3/object/sequencer", json!("0".repeat(513))),
    ];
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let mut records = spoilt.to_vec();
    records.insert(0, record("first"));
    records.insert(spoilt.len() / 2, record("middle"));
    records.push(record("last"));
    let body = json!({ "Records": records }).to_string();
    assert_eq!(post(&around, &body).await, StatusCode::OK);
    let skipped = FactValue::Count(spoilt.len() as u64);
    assert_eq!(run.status().facts["skipped"], skipped);
    stop(run).await;
    assert_eq!(
        subjects(&around.dispatch().offered()),
        ["first", "last", "middle"]
    );
}

#[tokio::test]
async fn what_is_unusual_but_right_is_taken() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let metadata: serde_json::Map<String, Value> = (0..500)
        .map(|n| (format!("X-Amz-Meta-{n}"), json!("m".repeat(1_000))))
        .collect();
    let mut huge = record("huge-metadata");
    huge["s3"]["object"]["userMetadata"] = Value::Object(metadata);
    let mut later = record("more-fields");
    later["eventVersion"] = json!("2.9");
    later["somethingNew"] = json!({ "deep": [1, 2, 3] });
    let mut unknown = record("unknown-name");
    unknown["eventName"] = json!("s3:ObjectFolded:Twice");
    for (body, offered) in [
        (json!({ "Records": [] }), 0),
        (json!({ "Records": [huge] }), 1),
        (json!({ "Records": [later] }), 2),
        (json!({ "Records": [unknown] }), 2),
    ] {
        assert_eq!(post(&around, &body.to_string()).await, StatusCode::OK);
        assert_eq!(around.dispatch().offered().len(), offered);
    }
    assert_eq!(run.status().facts["skipped"], FactValue::Count(0));
    stop(run).await;
    let data = around.dispatch().offered()[0].event.data.clone().unwrap();
    let data: Value = serde_json::from_slice(&data).unwrap();
    assert_eq!(data["user_metadata"].as_object().unwrap().len(), 500);
}

#[tokio::test]
async fn thousands_of_records_are_one_hand_over_and_too_many_bytes_are_skipped() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let many = |count: usize| {
        let records: Vec<Value> = (0..count).map(|n| record(&format!("k{n:05}"))).collect();
        json!({ "Records": records }).to_string()
    };
    // As many as a POST of 1 MiB holds; all of them are in before the answer.
    let body = many(3_000);
    assert!(body.len() < 1 << 20, "{}", body.len());
    assert_eq!(post(&around, &body).await, StatusCode::OK);
    assert_eq!(around.dispatch().accepted().len(), 3_000);
    let body = many(10_000);
    assert_eq!(post(&around, &body).await, StatusCode::OK);
    assert_eq!(run.status().facts["skipped"], FactValue::Count(1));
    assert_eq!(around.dispatch().accepted().len(), 3_000);
    stop(run).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_or_never_ends_is_not_said_to_be_taken() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let app = around.gateway().router();
    let half = Bytes::from_static(b"{\"Records\":[");
    let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
    let answered = send(&app, "test-token", Body::from_stream(broken)).await;
    assert_eq!(answered.0, StatusCode::BAD_REQUEST);
    assert_eq!(run.status().facts["skipped"], FactValue::Count(0));
    stop(run).await;
}

/// Bodies made of what real ones are made of: cut, with bytes and values exchanged.
fn spoilt_body() -> impl Strategy<Value = Vec<u8>> {
    let recorded: Vec<String> = ["minio", "versitygw"]
        .iter()
        .flat_map(|server| webhook_bodies(server))
        .collect();
    let recorded = prop::sample::select(recorded);
    let cuts = (recorded.clone(), any::<prop::sample::Index>())
        .prop_map(|(body, at)| body.as_bytes()[..at.index(body.len())].to_vec());
    let bytes = (recorded.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(body, at, byte)| {
            let mut body = body.into_bytes();
            let at = at.index(body.len());
            body[at] = byte;
            body
        },
    );
    let words = [
        "null",
        "-1",
        "\"\"",
        "[]",
        "{}",
        "1e999",
        "\"\\ud800\"",
        "true",
    ];
    let values = (
        recorded,
        any::<prop::sample::Index>(),
        prop::sample::select(words.to_vec()),
    )
        .prop_map(|(body, at, word)| {
            let quotes: Vec<usize> = body.match_indices('"').map(|(at, _)| at).collect();
            let from = at.index(quotes.len() - 1);
            let (from, to) = (quotes[from], quotes[from + 1] + 1);
            format!("{}{word}{}", &body[..from], &body[to..]).into_bytes()
        });
    let nested = (1_usize..5_000).prop_map(|deep| {
        let (open, close) = ("[".repeat(deep), "]".repeat(deep));
        format!("{{\"Records\":{open}{close}}}").into_bytes()
    });
    prop_oneof![cuts, bytes, values, nested, any::<Vec<u8>>()]
}

/// A 400 would make a store with a queue send the same thing for ever, and nothing behind it.
#[test]
fn no_body_is_answered_with_what_would_block_a_queue() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, around) = (runtime.block_on(Store::start()), around());
    let run = runtime.block_on(receiving(&store, &around, ""));
    let app = around.gateway().router();
    let allowed = [
        StatusCode::OK,
        StatusCode::UNAUTHORIZED,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    proptest!(ProptestConfig::with_cases(300), |(body in spoilt_body(), token in "test-token|wrong|")| {
        let (status, _) = runtime.block_on(send(&app, &token, body));
        prop_assert!(allowed.contains(&status), "{status}");
        prop_assert_eq!(status == StatusCode::UNAUTHORIZED, token != "test-token");
    });
    runtime.block_on(stop(run));
}
