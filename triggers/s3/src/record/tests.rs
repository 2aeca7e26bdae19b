//! Every recorded notification, compared with the calls that caused it.

use serde_json::Value;

use super::*;
use crate::event::Source;
use crate::identity::{ObjectState, notified};
use crate::tests::fixtures::{LISTEN_UPLOADS, LISTEN_VERSIONED, operations, webhook_bodies};

fn notifications(bodies: &[String], ingress: Ingress) -> Vec<Notification> {
    let messages = bodies
        .iter()
        .map(|body| parse(body.as_bytes(), ingress, None).unwrap());
    messages
        .flat_map(|message| {
            assert_eq!(message.skipped, Vec::<String>::new());
            message.notifications
        })
        .collect()
}

/// Whole lines only: the recording was stopped in the middle of one.
fn lines(stream: &str) -> Vec<String> {
    let whole = stream.rsplit_once('\n').unwrap().0;
    whole.lines().map(str::to_owned).collect()
}

/// Bucket, key and bare etag of every call that made an object, in order.
fn made(server: &str) -> Vec<(String, String, String)> {
    let mut made = Vec::new();
    for call in operations(server) {
        let result = &call["result"];
        let etag = match call["op"].as_str().unwrap() {
            "put_object" | "complete_multipart_upload" => &result["ETag"],
            "copy_object" => &result["CopyObjectResult"]["ETag"],
            _ => continue,
        };
        if let Some(etag) = etag.as_str() {
            let text = |name: &str| call["args"][name].as_str().unwrap().to_owned();
            made.push((
                text("Bucket"),
                text("Key"),
                etag.trim_matches('"').to_owned(),
            ));
        }
    }
    made
}

fn creations(notifications: &[Notification]) -> Vec<(String, String, String)> {
    let made = notifications
        .iter()
        .filter(|one| crate::names::is_creation(&one.name));
    made.map(|one| (one.bucket.clone(), one.key.clone(), one.etag.clone()))
        .collect()
}

#[test]
fn minio_webhook_says_what_was_done() {
    let notifications = notifications(&webhook_bodies("minio"), Ingress::Webhook);
    assert_eq!(notifications.len(), 39);
    assert_eq!(creations(&notifications), made("minio"));
}

#[test]
fn minio_listen_says_what_was_done() {
    let all = [lines(LISTEN_UPLOADS), lines(LISTEN_VERSIONED)].concat();
    let mut made = made("minio");
    // Its line came after the end of the recording.
    made.pop();
    assert_eq!(creations(&notifications(&all, Ingress::Listen)), made);
}

#[test]
fn versitygw_webhook_says_what_was_done() {
    let notifications = notifications(&webhook_bodies("versitygw"), Ingress::Webhook);
    // The first POST is a test event.
    assert_eq!(notifications.len(), webhook_bodies("versitygw").len() - 1);
    assert_eq!(creations(&notifications), made("versitygw"));
    assert!(
        notifications
            .iter()
            .all(|one| one.dialect == Dialect::VersityGw)
    );
    assert!(notifications.iter().all(|one| one.version_id.is_none()));
}

#[test]
fn minio_says_the_same_both_ways() {
    let listened = [lines(LISTEN_UPLOADS), lines(LISTEN_VERSIONED)].concat();
    let listened = notifications(&listened, Ingress::Listen);
    let posted = notifications(&webhook_bodies("minio"), Ingress::Webhook);
    assert!(listened.len() > 30);
    for one in &listened {
        let same =
            |other: &&Notification| other.request_id == one.request_id && other.key == one.key;
        let Some(other) = posted.iter().find(same) else {
            // The webhook was not set up for all kinds of reading.
            assert!(one.name.starts_with("ObjectAccessed:"), "{one:?}");
            continue;
        };
        // Each event is made for its target, a moment apart; what is removed has no mtime.
        let removed = one.name.starts_with("ObjectRemoved:");
        let sequencer = if removed { one } else { other }.sequencer.clone();
        assert!(other.time.as_millis().abs_diff(one.time.as_millis()) < 10);
        let other = Notification {
            time: one.time,
            sequencer,
            ..other.clone()
        };
        assert_eq!(other, *one);
    }
}

#[test]
fn no_two_happenings_share_an_identity() {
    for server in ["minio", "versitygw"] {
        let notifications = notifications(&webhook_bodies(server), Ingress::Webhook);
        let mut names: Vec<String> = notifications
            .iter()
            .map(|one| match ObjectState::of(one) {
                Some(state) if crate::names::is_creation(&one.name) => state.identity(&one.bucket),
                _ => notified(one),
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), notifications.len(), "{server}");
    }
}

#[test]
fn minio_notifications_name_what_the_listing_shows() {
    let notifications = notifications(&webhook_bodies("minio"), Ingress::Webhook);
    let states: Vec<ObjectState> = notifications.iter().filter_map(ObjectState::of).collect();
    let mut compared = 0;
    for call in operations("minio") {
        let url = call["args"]["EncodingType"] == "url";
        let shown = ["Contents", "Versions"].map(|kind| call["result"][kind].as_array());
        for object in shown.into_iter().flatten().flatten().filter(|_| !url) {
            let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
            let modified = text("LastModified").replace(' ', "T");
            let listed = ObjectState {
                key: text("Key"),
                version_id: Some(text("VersionId"))
                    .filter(|id| !matches!(id.as_str(), "" | "null")),
                etag: text("ETag").trim_matches('"').to_owned(),
                modified: Timestamp::parse(&modified).unwrap(),
            };
            let name = listed.identity("b");
            assert!(
                states.iter().any(|state| state.identity("b") == name),
                "{listed:?}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 18 + 2 + 2);
}

#[test]
fn the_event_says_it_all() {
    let notifications = notifications(&webhook_bodies("minio"), Ingress::Webhook);
    let source = Source {
        uri: "s3://127.0.0.1:9000/uploads".to_owned(),
        bucket: "uploads".to_owned(),
    };
    let odd = notifications
        .iter()
        .find(|one| one.key == "a b+c%/ü.txt")
        .unwrap();
    let event = source.notified(odd, "name");
    event.check().unwrap();
    assert_eq!(event.kind, "com.amazonaws.s3.ObjectCreated:Put");
    assert_eq!(event.subject.as_deref(), Some("a b+c%/ü.txt"));
    assert_eq!(event.time.to_string(), "2026-11-24T21:17:38.864Z");
    let extension = |name: &str| event.extensions.get(name).map(String::as_str);
    assert_eq!(extension("s3bucket"), Some("uploads"));
    assert_eq!(extension("s3size"), Some("13"));
    assert_eq!(
        extension("s3etag"),
        Some("484fa809f6aa318d41206f00003aefd8")
    );
    assert_eq!(extension("s3sequencer"), Some("18EB17D0122EAE69"));
    assert_eq!(extension("s3synthetic"), None);
    let data: Value = serde_json::from_slice(event.data.as_ref().unwrap()).unwrap();
    assert_eq!(data["key"], "a b+c%/ü.txt");
    assert_eq!(data["event_time"], "2026-11-24T21:17:38.864Z");
    assert_eq!(data["size"], 13);
}

#[test]
fn sizes_are_said_or_not_known() {
    let size = |server: &str, key: &str| {
        let notifications = notifications(&webhook_bodies(server), Ingress::Webhook);
        notifications
            .into_iter()
            .find(|one| one.key == key)
            .unwrap()
            .size
    };
    assert_eq!(size("minio", "empty"), Some(0));
    assert_eq!(size("versitygw", "empty"), Some(0));
    assert_eq!(size("minio", "big/movie.bin"), Some(5_242_980));
    assert_eq!(size("versitygw", "big/movie.bin"), None);
}

#[test]
fn what_is_no_notification_says_why() {
    let parse = |text: &str| parse(text.as_bytes(), Ingress::Webhook, None);
    for fine in [
        r#"{"Records":null}"#,
        r#"{"Records":[]}"#,
        r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#,
    ] {
        assert_eq!(parse(fine), Ok(Message::default()), "{fine}");
    }
    for wrong in [
        "",
        "{",
        "[]",
        "7",
        "{}",
        r#"{"Records":7}"#,
        r#"{"Event":"x"}"#,
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_bad_record_does_not_hold_up_good_ones() {
    let good: Value = serde_json::from_str(&webhook_bodies("minio")[0]).unwrap();
    let record = &good["Records"][0];
    let changed = |path: &str, to: Value| {
        let mut record = record.clone();
        *record.pointer_mut(path).unwrap() = to;
        record
    };
    let bad = [
        Value::from(7),
        changed("/eventVersion", "3.0".into()),
        changed("/eventTime", "yesterday".into()),
        changed("/s3/object/key", "%ff".into()),
        changed("/s3/object/key", "a%00b".into()),
        changed("/s3/object/key", "".into()),
        changed("/s3/object/key", "k".repeat(1025).into()),
        changed("/s3/object/sequencer", "1".repeat(600).into()),
    ];
    for bad in bad {
        let body = serde_json::json!({ "Records": [record, bad, record] }).to_string();
        let message = parse(body.as_bytes(), Ingress::Webhook, None).unwrap();
        assert_eq!(
            (message.notifications.len(), message.skipped.len()),
            (2, 1),
            "{body}"
        );
    }
}

proptest::proptest! {
    /// Whatever is sent, the answer is a value; and escapes written by a server are undone exactly.
    #[test]
    fn any_key_comes_through(key in "\\PC{1,60}", noise in proptest::collection::vec(0..=255_u8, 0..200)) {
        let _ = parse(&noise, Ingress::Webhook, None);
        let escaped: String = key.bytes().map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        }).collect();
        proptest::prop_assert_eq!(Dialect::Minio.key(Ingress::Webhook, &escaped), Some(key.clone()));
        proptest::prop_assert_eq!(Dialect::Minio.key(Ingress::Listen, &key), Some(key.clone()));
        proptest::prop_assert_eq!(Dialect::VersityGw.key(Ingress::Webhook, &key), Some(key));
    }
}
