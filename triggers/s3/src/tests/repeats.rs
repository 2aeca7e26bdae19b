//! Notifications that come again, out of order, or look alike; and keys that are hard to write.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tripline_trigger::testkit::{Run, TestContext};
use tripline_trigger::{FactValue, TriggerState};

use super::fixtures::webhook_bodies;
use super::store::{Store, minio_line};
use super::webhook::{post, receiving};
use super::{around, noon, restarted, subjects, trigger};

/// Keys that a path, a shell, a URL or a form would spoil, up to the longest that S3 allows.
fn keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "../x",
        "..",
        "a b",
        "a+b",
        "100%",
        "%2e%2e",
        "%00",
        "//",
        "/",
        "a//b",
        "./a",
        "new\nline",
        "cr\r\nlf",
        "tab\there",
        "\u{1}",
        "\u{7f}",
        "rtl-\u{202e}-x",
        "\u{feff}bom",
        "\u{e9}",
        "e\u{301}",
        "emoji-😀",
        "back\\slash",
        "quote\"'`&<>",
        "a&amp;b",
        "?q=1#h",
        " ",
        "-rf",
        "$(id)",
        "null",
        "~",
    ]
    .map(str::to_owned)
    .into();
    keys.push("k".repeat(1024));
    keys.push("é".repeat(512));
    keys.sort_unstable();
    keys
}

fn form_encoded(key: &str) -> String {
    let escaped = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
    escaped.replace("%20", "+")
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

fn accepted_keys(around: &TestContext) -> Vec<String> {
    let accepted = around.dispatch().accepted();
    let offers = accepted.iter().map(|(_, offer)| offer);
    subjects(offers).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn recordings_sent_five_times_over_restarts_are_accepted_once() {
    for (server, created) in [("minio", 25), ("versitygw", 26)] {
        let (store, mut around) = (Store::start().await, around());
        for _ in 0..5 {
            let run = receiving(&store, &around, "").await;
            for body in webhook_bodies(server) {
                assert_eq!(post(&around, &body).await, StatusCode::OK);
            }
            stop(run).await;
            around = restarted(&around);
        }
        assert_eq!(around.dispatch().accepted().len(), created, "{server}");
    }
}

#[tokio::test]
async fn all_orders_of_all_lengths_of_sequencers_are_accepted() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    let sequencers = ["9", "10", "000A", "18EB17CFED284DDB"];
    let mut sent = 0;
    for order in 0..24_usize {
        let mut left = sequencers.to_vec();
        let order = [order / 6, order % 6 / 2, order % 2, 0];
        for (turn, pick) in order.into_iter().enumerate() {
            let sequencer = left.remove(pick);
            for source in ["minio:s3", "aws:s3"] {
                let key = format!("{source}-{order:?}");
                let mut body: Value =
                    serde_json::from_str(&minio_line(&key, sequencer, noon(-60))).unwrap();
                body["Records"][0]["eventSource"] = source.into();
                body["Records"][0]["s3"]["object"]["sequencer"] = sequencer.into();
                assert_eq!(post(&around, &body.to_string()).await, StatusCode::OK);
                sent += 1;
                assert_eq!(around.dispatch().accepted().len(), sent, "turn {turn}");
            }
        }
    }
    stop(run).await;
}

#[tokio::test]
async fn two_reads_and_a_tag_with_the_sequencer_of_their_object_are_three_events() {
    let (store, around) = (Store::start().await, around());
    let more =
        "events = ['s3:ObjectAccessed:*', 's3:ObjectCreated:PutTagging']\nprefix = 'plain'\n";
    let run = receiving(&store, &around, more).await;
    for _ in 0..2 {
        for body in webhook_bodies("minio") {
            assert_eq!(post(&around, &body).await, StatusCode::OK);
        }
    }
    stop(run).await;
    let accepted = around.dispatch().accepted();
    let notified: Vec<(&str, &str)> = accepted
        .iter()
        .map(|(_, offer)| &offer.event)
        .map(|event| {
            (
                event.kind.as_str(),
                event.extensions["s3sequencer"].as_str(),
            )
        })
        .collect();
    let of_the_object = "18EB17D10D852296";
    assert_eq!(
        notified,
        [
            ("com.amazonaws.s3.ObjectCreated:PutTagging", of_the_object),
            ("com.amazonaws.s3.ObjectAccessed:Get", of_the_object),
            ("com.amazonaws.s3.ObjectAccessed:Get", of_the_object),
        ]
    );
}

#[tokio::test]
async fn odd_keys_come_exactly_through_the_webhook() {
    let keys = keys();
    for (source, id, escapes) in [
        ("minio:s3", "Config", true),
        ("aws:s3", "Config", true),
        ("aws:s3", "webhook-global", false),
        ("ceph:s3", "Config", false),
    ] {
        let (store, around) = (Store::start().await, around());
        let run = receiving(&store, &around, "").await;
        for key in &keys {
            let mut body: Value = serde_json::from_str(&minio_line(key, "e", noon(-60))).unwrap();
            let record = &mut body["Records"][0];
            record["eventSource"] = source.into();
            record["s3"]["configurationId"] = id.into();
            if escapes {
                record["s3"]["object"]["key"] = form_encoded(key).into();
            }
            assert_eq!(post(&around, &body.to_string()).await, StatusCode::OK);
        }
        assert_eq!(run.status().facts["skipped"], FactValue::Count(0));
        stop(run).await;
        assert_eq!(accepted_keys(&around), keys, "{source} {id}");
    }
}

#[tokio::test]
async fn odd_keys_come_exactly_through_the_stream_and_the_listing() {
    let keys = keys();
    for mode in ["listen", "poll"] {
        let (store, around) = (Store::start().await, around());
        let pace = match mode {
            "listen" => "heartbeat = '1s'\n",
            _ => "interval = '100ms'\n",
        };
        let run = around.run(trigger(
            &store.endpoint,
            &format!("mode = '{mode}'\n{pace}"),
        ));
        run.wait_state(TriggerState::Running).await;
        for key in &keys {
            match mode {
                "listen" => store.notify(key, "e", noon(10)),
                _ => store.put(key, "", "e", noon(10)),
            }
        }
        around.dispatch().wait_accepted(keys.len()).await;
        stop(run).await;
        assert_eq!(accepted_keys(&around), keys, "{mode}");
        // The event says the key twice; both times as it is.
        for (_, offer) in around.dispatch().accepted() {
            let data: Value = serde_json::from_slice(offer.event.data.as_ref().unwrap()).unwrap();
            assert_eq!(data["key"].as_str(), offer.event.subject.as_deref());
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_again_and_again_loses_and_repeats_nothing() {
    let (store, around) = (Store::start().await, around());
    let listen = "mode = 'listen'\nheartbeat = '1s'\nsettle = '0s'\nreconcile_interval = '1h'\n";
    let run = around.run(trigger(&store.endpoint, listen));
    run.wait_state(TriggerState::Running).await;
    for round in 0..4 {
        store.wait_streams(round + 1).await;
        for n in 0..50 {
            let key = format!("{round}-{n}");
            store.put(&key, "", "e", noon(-60));
            match n {
                // Notified, notified twice, notified into the gap, not notified at all.
                0..20 => store.notify(&key, "e", noon(-60)),
                20..30 => {
                    store.notify(&key, "e", noon(-60));
                    store.notify(&key, "e", noon(-60));
                }
                30 => store.cut(),
                31..40 => store.notify(&key, "e", noon(-60)),
                _ => {}
            }
        }
    }
    let accepted = around.dispatch().wait_accepted(200).await;
    store.wait_streams(5).await;
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
    assert_eq!(accepted.len(), 200);
    let mut keys = accepted_keys(&around);
    keys.dedup();
    assert_eq!(keys.len(), 200);
}

/// The hub has taken everything and dies before it answers: the sender repeats the POST.
#[tokio::test]
async fn a_post_whose_answer_was_lost_is_known_in_the_next_life() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(&store, &around, "").await;
    around.dispatch().hold();
    let body = json!({ "Records": webhook_bodies("minio")[..5]
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["Records"][0].clone())
        .collect::<Vec<_>>() })
    .to_string();
    let asked = post(&around, &body).await;
    assert_eq!(asked, StatusCode::SERVICE_UNAVAILABLE);
    stop(run).await;
    around.dispatch().release();
    let after = restarted(&around);
    assert!(Arc::ptr_eq(after.dispatch(), around.dispatch()));
    let run = receiving(&store, &after, "").await;
    for _ in 0..2 {
        assert_eq!(post(&after, &body).await, StatusCode::OK);
    }
    stop(run).await;
    assert_eq!(after.dispatch().accepted().len(), 5);
}

/// The journal is slow, the sender is refused and goes; meanwhile a listing comes to the object.
#[tokio::test]
async fn a_post_that_is_told_to_come_again_keeps_its_objects_to_its_end() {
    let (store, around) = (Store::start().await, around());
    let run = receiving(
        &store,
        &around,
        "settle = '0s'\nreconcile_interval = '100ms'\n",
    )
    .await;
    around.dispatch().hold();
    // versitygw does not show which listed state it means.
    let notified = webhook_bodies("versitygw");
    let notified = notified.iter().find(|body| body.contains("\"Records\":[{"));
    let mut body: Value = serde_json::from_str(notified.unwrap()).unwrap();
    let record = &mut body["Records"][0];
    record["eventTime"] = noon(-60).to_string().into();
    record["s3"]["object"]["key"] = "k".into();
    record["s3"]["object"]["eTag"] = "e".into();
    let asked = post(&around, &body.to_string()).await;
    assert_eq!(asked, StatusCode::SERVICE_UNAVAILABLE);
    store.put("k", "", "e", noon(-60));
    store.wait_listings(store.listings() + 1).await;
    around.dispatch().release();
    around.dispatch().wait_accepted(1).await;
    store.wait_listings(store.listings() + 3).await;
    stop(run).await;
    assert_eq!(around.dispatch().offered().len(), 1);
}
