//! Objects in a real store, on their way to a function.

use tripline_tests::{Hub, OwnStore, S3, eventually, free_port, s3_store};

const POLL: &str = r#"
[functions.seen]
command = ["sh", "-c", "cat"]
[triggers.uploads]
kind = "s3"
function = "seen"
endpoint = "ENDPOINT"
access_key = { env = "S3_ACCESS_KEY" }
secret_key = { env = "S3_SECRET_KEY" }
bucket = "BUCKET"
mode = "poll"
interval = "200ms"
settle = "0s"
suffix = ".txt"
"#;

/// The trigger has looked at the bucket at least once.
async fn watching(hub: &Hub) {
    eventually("the trigger is running", async || {
        let trigger = hub.get("/v1/triggers/uploads").await;
        (trigger["state"] == "running").then_some(())
    })
    .await;
}

/// Puts the same bytes again, until the store shows another time of change: listings have nothing else to
/// tell the two apart by, and a store may count in whole seconds.
async fn put_anew(store: &S3, bucket: &str, key: &str, body: &str) {
    let before = store.last_modified(bucket, key).await;
    eventually("the store shows another time of change", async || {
        store.put(bucket, key, body).await;
        (store.last_modified(bucket, key).await != before).then_some(())
    })
    .await;
}

async fn keys(hub: &Hub, count: usize) -> Vec<String> {
    let mut keys: Vec<_> = hub
        .ended_of("uploads", count)
        .await
        .iter()
        .map(|one| {
            one["event"]["subject"]
                .as_str()
                .expect("an object has a key")
                .to_owned()
        })
        .collect();
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_found_also_those_made_while_the_hub_was_down() {
    let Some(store) = s3_store("uploads found by listing") else {
        return;
    };
    let bucket = "e2e-poll";
    store.create(bucket).await;
    let mut hub = Hub::prepare(
        &POLL
            .replace("BUCKET", bucket)
            .replace("ENDPOINT", &store.endpoint),
    );
    hub.launch_with(&store.env()).await;
    watching(&hub).await;
    store.put(bucket, "a+b c%.txt", "1").await;
    store.put(bucket, "left alone.jpg", "1").await;
    assert_eq!(keys(&hub, 1).await, ["a+b c%.txt"]);

    hub.kill().await;
    store.put(bucket, "while down/ü.txt", "2").await;
    hub.launch_with(&store.env()).await;
    assert_eq!(keys(&hub, 2).await, ["a+b c%.txt", "while down/ü.txt"]);

    // The same bytes under the same key are a new occurrence.
    put_anew(&store, bucket, "a+b c%.txt", "1").await;
    assert_eq!(keys(&hub, 3).await.len(), 3);
}

const WEBHOOK: &str = r#"
[functions.seen]
command = ["sh", "-c", "cat"]
[triggers.uploads]
kind = "s3"
function = "seen"
endpoint = "ENDPOINT"
access_key = { env = "S3_ACCESS_KEY" }
secret_key = { env = "S3_SECRET_KEY" }
bucket = "uploads"
mode = "webhook"
route = "POST /s3"
auth = "none"
reconcile_interval = "1s"
settle = "0s"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_and_a_listing_of_one_object_give_one_receipt() {
    let port = free_port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut hub = Hub::prepare(&WEBHOOK.replace("ENDPOINT", &endpoint));
    let env = [
        ("S3_ACCESS_KEY", "tripline-test"),
        ("S3_SECRET_KEY", "tripline-test-secret"),
    ];
    hub.launch_with(&env).await;
    let webhook = hub.gateway("/s3");
    eventually("the webhook is there", async || {
        let answer = hub
            .client()
            .post(&webhook)
            .body("{\"Records\":null}")
            .send()
            .await
            .ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    let Some(store) = OwnStore::versitygw("webhook of versitygw", port, &webhook).await else {
        return;
    };
    store.s3.create("uploads").await;
    watching(&hub).await;
    for key in ["one.txt", "two three.txt"] {
        store.s3.put("uploads", key, "x").await;
    }
    assert_eq!(keys(&hub, 2).await, ["one.txt", "two three.txt"]);
    let mut last = hub.get("/v1/triggers/uploads").await["facts"]["last_listing"].clone();
    for _ in 0..2 {
        last = eventually("the bucket is listed again", async || {
            let now = hub.get("/v1/triggers/uploads").await["facts"]["last_listing"].clone();
            (now != last).then_some(now)
        })
        .await;
    }
    assert_eq!(
        keys(&hub, 2).await.len(),
        2,
        "a listing fired what a notification had brought"
    );
}
