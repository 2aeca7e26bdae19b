//! Object stores that die under load, hubs that are away, a store's own queue, notifications that come again: each
//! object is accepted once. And a bucket of 100,000 objects, read in bounded memory, with a SIGTERM half way.

mod large;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use serde_json::Value;
use tokio::task::JoinSet;
use tripline_tests::{Hub, OwnStore, S3, eventually, free_port};

/// Keys that every server takes and gives back.
const ODD_KEYS: [&str; 12] = [
    "#hash?query=1",
    "%2e%2e/x",
    "100%",
    "a b+c%/ü.txt",
    "a+b",
    "emoji-😀",
    "e\u{301}",
    "new\nline",
    "quote\"'&<>",
    "rtl-\u{202e}-x",
    "trailing space ",
    "\u{e9}",
];

const KEYS: [(&str, &str); 2] = [
    ("S3_ACCESS_KEY", "tripline-test"),
    ("S3_SECRET_KEY", "tripline-test-secret"),
];

/// A hub with one trigger on the bucket `uploads`, and a gateway on a port that stays the same.
fn hub_for(endpoint: &str, gateway: u16, mode: &str) -> Hub {
    let hub = Hub::prepare("");
    let config = format!(
        r#"
[gateway]
listen = "127.0.0.1:{gateway}"
[admin]
listen = "127.0.0.1:0"
[functions.seen]
command = ["true"]
concurrency = 8
[triggers.uploads]
kind = "s3"
function = "seen"
endpoint = "{endpoint}"
access_key = {{ env = "S3_ACCESS_KEY" }}
secret_key = {{ env = "S3_SECRET_KEY" }}
bucket = "uploads"
{mode}
"#
    );
    hub.write("tripline.toml", &config);
    hub
}

async fn trigger(hub: &Hub) -> Value {
    hub.get("/v1/triggers/uploads").await
}

async fn watching(hub: &Hub) {
    eventually("the trigger is running", async || {
        (trigger(hub).await["state"] == "running").then_some(())
    })
    .await;
}

/// How often each key was accepted.
async fn accepted(hub: &Hub) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for one in hub.invocations("trigger=uploads").await {
        let key = one["event"]["subject"].as_str().unwrap().to_owned();
        *keys.entry(key).or_default() += 1;
    }
    keys
}

/// Waits until the bucket has been listed twice from now on.
async fn listed_twice(hub: &Hub) {
    for _ in 0..2 {
        let last = trigger(hub).await["facts"]["last_listing"].clone();
        eventually("the bucket is listed again", async || {
            (trigger(hub).await["facts"]["last_listing"] != last).then_some(())
        })
        .await;
    }
}

async fn survivors(store: &S3) -> Vec<String> {
    let mut pages = store
        .client
        .list_objects_v2()
        .bucket("uploads")
        .into_paginator()
        .send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("the bucket can be listed");
        keys.extend(
            page.contents()
                .iter()
                .map(|one| one.key().unwrap().to_owned()),
        );
    }
    keys.sort();
    keys
}

/// Writers that put one new object after the other, and do not mind a store that is away.
struct Load {
    put: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    writers: JoinSet<()>,
}

impl Load {
    fn start(store: &S3) -> Self {
        let (put, stop) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut writers = JoinSet::new();
        for writer in 0..3 {
            let (client, put, stop) = (store.client.clone(), Arc::clone(&put), Arc::clone(&stop));
            writers.spawn(async move {
                let mut pace = tokio::time::interval(Duration::from_millis(20));
                for n in 0.. {
                    pace.tick().await;
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("load/{writer}-{n}");
                    let request = client.put_object().bucket("uploads").key(key);
                    let done = request.body(b"x".to_vec().into()).send().await;
                    put.fetch_add(usize::from(done.is_ok()), Ordering::Relaxed);
                }
            });
        }
        Self { put, stop, writers }
    }

    /// Waits until that many more objects are put.
    async fn more(&self, count: usize) {
        let until = self.put.load(Ordering::Relaxed) + count;
        eventually("objects are put", async || {
            (self.put.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.writers.join_next().await {
            done.expect("a writer does not panic");
        }
    }
}

/// Kills the store twice and the hub once while objects are put; then each object that is there was accepted once.
async fn everything_dies_under_load(hub: &mut Hub, store: &mut OwnStore) {
    let load = Load::start(&store.s3);
    for _ in 0..2 {
        load.more(20).await;
        store.kill();
        store.start().await;
        load.more(10).await;
    }
    hub.kill().await;
    load.more(20).await;
    hub.launch_with(&KEYS).await;
    load.more(20).await;
    load.stop().await;
    watching(hub).await;
    let there = survivors(&store.s3).await;
    assert!(there.len() > 80, "{} objects", there.len());
    eventually("every object is accepted", async || {
        let accepted = accepted(hub).await;
        there
            .iter()
            .all(|key| accepted.contains_key(key))
            .then_some(())
    })
    .await;
    listed_twice(hub).await;
    let accepted = accepted(hub).await;
    let twice: Vec<_> = accepted.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "accepted more than once: {twice:?}");
    let missed = trigger(hub).await["facts"]["missed"].clone();
    assert!(missed.as_u64() > Some(0), "nothing was missed: {missed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_a_webhook_and_its_hub_die_under_load_and_each_object_is_accepted_once() {
    let (gateway, port) = (free_port(), free_port());
    let mode = "mode = \"webhook\"\nroute = \"POST /s3\"\nauth = \"none\"\nreconcile_interval = \"500ms\"\nsettle = \"0s\"";
    let mut hub = hub_for(&format!("http://127.0.0.1:{port}"), gateway, mode);
    hub.launch_with(&KEYS).await;
    let webhook = hub.gateway("/s3");
    eventually("the webhook is there", async || {
        let sent = hub
            .client()
            .post(&webhook)
            .body("{\"Records\":null}")
            .send();
        sent.await.ok()?.status().is_success().then_some(())
    })
    .await;
    let test = "a versitygw that dies under load";
    let Some(mut store) = OwnStore::versitygw(test, port, &webhook).await else {
        return;
    };
    store.s3.create("uploads").await;
    watching(&hub).await;
    for key in ODD_KEYS {
        store.s3.put("uploads", key, "odd").await;
    }
    // Now and then the store tells of a key that it has written half of the next one over: a listing brings the true one.
    eventually("odd keys come exactly", async || {
        let accepted = accepted(&hub).await;
        ODD_KEYS
            .iter()
            .all(|key| accepted.contains_key(*key))
            .then_some(())
    })
    .await;
    everything_dies_under_load(&mut hub, &mut store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_a_stream_and_its_hub_die_under_load_and_each_object_is_accepted_once() {
    let (gateway, port) = (free_port(), free_port());
    let test = "a MinIO that dies under load";
    let nowhere = format!("http://127.0.0.1:{gateway}/nowhere");
    let Some(mut store) = OwnStore::minio(test, port, &nowhere).await else {
        return;
    };
    store.s3.create("uploads").await;
    let mode =
        "mode = \"listen\"\nheartbeat = \"1s\"\nreconcile_interval = \"1s\"\nsettle = \"0s\"";
    let mut hub = hub_for(&store.s3.endpoint, gateway, mode);
    hub.launch_with(&KEYS).await;
    watching(&hub).await;
    everything_dies_under_load(&mut hub, &mut store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_kept_in_its_queue_comes_when_the_hub_is_back() {
    let (gateway, port) = (free_port(), free_port());
    let webhook = format!("http://127.0.0.1:{gateway}/s3");
    let mode = "mode = \"webhook\"\nroute = \"POST /s3\"\nauth = \"none\"\nreconcile_interval = \"1h\"\nsettle = \"1h\"";
    let mut hub = hub_for(&format!("http://127.0.0.1:{port}"), gateway, mode);
    hub.launch_with(&KEYS).await;
    let Some(store) = OwnStore::minio("the queue of a MinIO", port, &webhook).await else {
        return;
    };
    store.s3.create("uploads").await;
    let queue = QueueConfiguration::builder()
        .queue_arn("arn:minio:sqs::HUB:webhook")
        .events(Event::S3ObjectCreated)
        .build()
        .unwrap();
    let wanted = NotificationConfiguration::builder()
        .queue_configurations(queue)
        .build();
    let request = store
        .s3
        .client
        .put_bucket_notification_configuration()
        .bucket("uploads");
    request
        .notification_configuration(wanted)
        .send()
        .await
        .unwrap();
    watching(&hub).await;
    store.s3.put("uploads", "before", "1").await;
    hub.ended_of("uploads", 1).await;
    hub.kill().await;
    for key in ODD_KEYS {
        store.s3.put("uploads", key, "while the hub is down").await;
    }
    hub.launch_with(&KEYS).await;
    // Listings leave such young objects alone: all of them come out of the queue.
    let all = hub.ended_of("uploads", ODD_KEYS.len() + 1).await;
    let synthetic = all
        .iter()
        .filter(|one| one["event"].to_string().contains("s3synthetic"));
    assert_eq!(synthetic.count(), 0);
    let keys = accepted(&hub).await;
    let mut expected: Vec<&str> = ODD_KEYS.into_iter().chain(["before"]).collect();
    expected.sort_unstable();
    assert!(keys.keys().map(String::as_str).eq(expected), "{keys:?}");
    assert!(keys.values().all(|count| *count == 1), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_notifications_sent_five_times_over_deaths_of_the_hub_are_accepted_once() {
    let recorded = [
        include_str!("../../triggers/s3/tests/fixtures/minio/webhook.ndjson"),
        include_str!("../../triggers/s3/tests/fixtures/versitygw/webhook.ndjson"),
    ];
    let bodies: Vec<String> = recorded
        .iter()
        .flat_map(|lines| lines.lines())
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["body"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mode = "mode = \"webhook\"\nroute = \"POST /s3\"\nauth = \"none\"";
    // Nobody is there: the listing is in trouble, and the webhook works all the same.
    let mut hub = hub_for(
        &format!("http://127.0.0.1:{}", free_port()),
        free_port(),
        mode,
    );
    for life in 0..5 {
        hub.launch_with(&KEYS).await;
        eventually("the webhook is there", async || {
            let sent = hub
                .client()
                .post(hub.gateway("/s3"))
                .body("{\"Records\":[]}")
                .send();
            sent.await.ok()?.status().is_success().then_some(())
        })
        .await;
        for body in &bodies {
            let request = hub.client().post(hub.gateway("/s3")).body(body.clone());
            assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
        }
        let accepted = accepted(&hub).await.values().sum::<usize>();
        assert_eq!(accepted, 25 + 26, "life {life}");
        if life < 4 {
            hub.kill().await;
        }
    }
    eventually("the listing is in trouble", async || {
        (trigger(&hub).await["state"] == "troubled").then_some(())
    })
    .await;
}
