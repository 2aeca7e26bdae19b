//! Against a real server, if one is named in the environment: `TRIPLINE_TEST_S3_ENDPOINT`, `_ACCESS_KEY`, `_SECRET_KEY`
//! (any S3 store), or the same with `MINIO` for one that has the Listen stream.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, VersioningConfiguration,
};
use tripline_config::{Document, Secret, SecretRef};
use tripline_model::{Clock, Offer, Timestamp, TriggerName};
use tripline_skipped::skipped;
use tripline_trigger::testkit::{PATIENCE, Run, TestContext};
use tripline_trigger::{TriggerKind, TriggerState};

use super::{is_synthetic, subjects};
use crate::client::Bucket;
use crate::config::Config;
use crate::{S3Kind, S3Trigger};

/// Keys that every server takes and gives back.
const KEYS: [&str; 12] = [
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

/// The wall time; real servers stamp objects with it.
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let now = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

/// A bucket of its own on a real server.
struct Server {
    endpoint: String,
    keys: [String; 2],
    bucket: String,
    client: aws_sdk_s3::Client,
}

// === impl Server ===

impl Server {
    /// `None`, reported as skipped, if no such server is named.
    async fn named(kind: &str, test: &str) -> Option<Self> {
        let read = |part: &str| std::env::var(format!("TRIPLINE_TEST_{kind}_{part}")).ok();
        let (Some(endpoint), Some(access), Some(secret)) =
            (read("ENDPOINT"), read("ACCESS_KEY"), read("SECRET_KEY"))
        else {
            skipped(
                test,
                &format!("TRIPLINE_TEST_{kind}_ENDPOINT, _ACCESS_KEY, _SECRET_KEY name no server"),
            );
            return None;
        };
        let millis = WallClock.now().as_millis();
        let bucket = format!("tripline-{test}-{}-{millis}", std::process::id());
        let text = table(&endpoint, &bucket, "mode = 'poll'\n");
        let config = Document::new("t.toml", text).read(Config::read).unwrap();
        let opened = Bucket::open(&config, &Secret::new(&access), &Secret::new(&secret)).unwrap();
        let client = opened.client().clone();
        client.create_bucket().bucket(&bucket).send().await.unwrap();
        Some(Self {
            endpoint,
            keys: [access, secret],
            bucket,
            client,
        })
    }

    async fn put(&self, key: &str, body: &'static [u8]) {
        let put = self.client.put_object().bucket(&self.bucket).key(key);
        put.body(ByteStream::from_static(body))
            .send()
            .await
            .unwrap();
    }

    async fn keep_versions(&self) {
        let kept = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let asked = self.client.put_bucket_versioning().bucket(&self.bucket);
        let asked = asked.versioning_configuration(kept.build());
        asked.send().await.unwrap();
    }

    async fn copy(&self, from: &str, to: &str) {
        let copy = self.client.copy_object().bucket(&self.bucket).key(to);
        let from = format!("{}/{from}", self.bucket);
        copy.copy_source(from).send().await.unwrap();
    }

    async fn upload_in_parts(&self, key: &str) {
        let (client, bucket) = (&self.client, &self.bucket);
        let upload = client.create_multipart_upload().bucket(bucket).key(key);
        let id = upload.send().await.unwrap().upload_id.unwrap();
        let part = client.upload_part().bucket(bucket).key(key).upload_id(&id);
        let part = part.part_number(1).body(ByteStream::from_static(b"part"));
        let etag = part.send().await.unwrap().e_tag.unwrap();
        let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
        let whole = CompletedMultipartUpload::builder().parts(part).build();
        let complete = client.complete_multipart_upload().bucket(bucket).key(key);
        let complete = complete.upload_id(id).multipart_upload(whole);
        complete.send().await.unwrap();
    }

    /// Puts the same bytes again, until the listing shows another time of change: it has nothing else to tell the two
    /// apart by, and some stores count in whole seconds.
    async fn put_anew(&self, key: &str, body: &'static [u8]) {
        let before = self.last_modified(key).await;
        let changed = async {
            while self.last_modified(key).await == before {
                self.put(key, body).await;
            }
        };
        let changed = tokio::time::timeout(PATIENCE, changed).await;
        changed.expect("the store shows another time of change");
    }

    async fn last_modified(&self, key: &str) -> aws_sdk_s3::primitives::DateTime {
        let listing = self.client.list_objects_v2().bucket(&self.bucket);
        let listed = listing.prefix(key).send().await.unwrap();
        let mut objects = listed.contents().iter();
        let object = objects.find(|object| object.key() == Some(key));
        *object.unwrap().last_modified().unwrap()
    }

    fn around(&self) -> TestContext {
        let env = |name: &str| SecretRef::Env(name.to_owned());
        TestContext::new("uploads")
            .with_clock(Arc::new(WallClock))
            .with_secret(env("A"), &self.keys[0])
            .with_secret(env("S"), &self.keys[1])
    }

    async fn run(&self, around: &TestContext, more: &str) -> Run {
        let text = table(&self.endpoint, &self.bucket, more);
        let name = TriggerName::new("uploads").unwrap();
        let read = Document::new("t.toml", text).read(|root| S3Kind.build(&name, root));
        let trigger: Arc<S3Trigger> = Arc::new(read.unwrap());
        let run = around.run(trigger);
        run.wait_state(TriggerState::Running).await;
        run
    }
}

fn table(endpoint: &str, bucket: &str, more: &str) -> String {
    format!(
        "endpoint = '{endpoint}'\nbucket = '{bucket}'\n\
         access_key = {{ env = 'A' }}\nsecret_key = {{ env = 'S' }}\n{more}"
    )
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_real_store_is_polled() {
    let Some(server) = Server::named("S3", "polled").await else {
        return;
    };
    server.put("before", b"1").await;
    let poll = "mode = 'poll'\ninterval = '100ms'\n";
    let around = server.around();
    let run = server.run(&around, poll).await;
    for key in KEYS {
        server.put(key, b"22").await;
    }
    let accepted = around.dispatch().wait_accepted(KEYS.len()).await;
    stop(run).await;
    assert_eq!(subjects(accepted.iter().map(|(_, offer)| offer)), KEYS);
    // While the hub is down.
    server.put("down", b"333").await;
    let after = server.around().with_dispatch(Arc::clone(around.dispatch()));
    let run = server.run(&after, poll).await;
    after.dispatch().wait_accepted(KEYS.len() + 1).await;
    // The same bytes again.
    server.put_anew("a+b", b"22").await;
    after.dispatch().wait_accepted(KEYS.len() + 2).await;
    stop(run).await;
    assert_eq!(after.dispatch().offered().len(), KEYS.len() + 2);
}

#[tokio::test]
async fn objects_of_a_real_minio_come_by_its_listen_stream() {
    let Some(server) = Server::named("MINIO", "listen-stream").await else {
        return;
    };
    let listen = "mode = 'listen'\nsettle = '0s'\nreconcile_interval = '200ms'\n";
    let around = server.around();
    let run = server.run(&around, listen).await;
    for key in KEYS {
        server.put(key, b"22").await;
    }
    let accepted = around.dispatch().wait_accepted(KEYS.len()).await;
    assert_eq!(subjects(accepted.iter().map(|(_, offer)| offer)), KEYS);
    assert!(accepted.iter().any(|(_, offer)| !is_synthetic(offer)));
    // The same bytes again.
    server.put_anew("a+b", b"22").await;
    around.dispatch().wait_accepted(KEYS.len() + 1).await;
    stop(run).await;
    assert_eq!(around.dispatch().accepted().len(), KEYS.len() + 1);
}

#[tokio::test]
async fn what_a_real_minio_notified_is_not_listed_again() {
    for (test, versions) in [("notified", false), ("notified-versions", true)] {
        let Some(server) = Server::named("MINIO", test).await else {
            return;
        };
        if versions {
            server.keep_versions().await;
        }
        let around = server.around();
        let only_listen =
            "mode = 'listen'\nheartbeat = '1s'\nsettle = '1h'\nreconcile_interval = '1h'\n";
        let run = server.run(&around, only_listen).await;
        for key in KEYS {
            server.put(key, b"22").await;
        }
        server.put_anew("a+b", b"22").await;
        server.copy("emoji-%F0%9F%98%80", "copied").await;
        server.upload_in_parts("in parts").await;
        let accepted = around.dispatch().wait_accepted(KEYS.len() + 3).await;
        stop(run).await;
        assert!(!accepted.iter().any(|(_, offer)| is_synthetic(offer)));
        for (key, name) in [("copied", "Copy"), ("in parts", "CompleteMultipartUpload")] {
            let kind = format!("com.amazonaws.s3.ObjectCreated:{name}");
            let is_it = |offer: &Offer| offer.event.subject.as_deref() == Some(key);
            let event = accepted.iter().find(|(_, offer)| is_it(offer)).unwrap();
            assert_eq!(event.1.event.kind, kind);
        }
        // While the hub is down. All that a listing finds in this bucket is accepted at once.
        server.put("down", b"333").await;
        let after = server.around().with_dispatch(Arc::clone(around.dispatch()));
        let listed =
            "mode = 'listen'\nheartbeat = '1s'\nsettle = '0s'\nreconcile_interval = '200ms'\n";
        let run = server.run(&after, listed).await;
        let accepted = after.dispatch().wait_accepted(KEYS.len() + 4).await;
        stop(run).await;
        let found = accepted.iter().filter(|(_, offer)| is_synthetic(offer));
        assert_eq!(subjects(found.map(|(_, offer)| offer)), ["down"]);
        assert_eq!(after.dispatch().accepted().len(), KEYS.len() + 4);
    }
}
