use super::*;

fn record() -> Record<'static> {
    Record {
        topic: "orders",
        partition: 3,
        offset: 41,
        timestamp: Some(1_795_555_058_243),
        stamped: "create",
        value: Some(b"{}"),
        ..Record::default()
    }
}

fn event(record: &Record<'_>) -> Event {
    let event = to_event(record, "c1", Timestamp::from_millis(7));
    assert_eq!(event.check(), Ok(()));
    event
}

fn extension<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    event.extensions.get(name).map(String::as_str)
}

#[test]
fn a_plain_record() {
    let event = event(&record());
    assert_eq!(event.id, "3/41");
    assert_eq!(event.source, "kafka://c1/orders");
    assert_eq!(event.kind, "tripline.kafka.record.v1");
    assert_eq!(event.subject.as_deref(), Some("3/41"));
    assert_eq!(event.time.as_millis(), 1_795_555_058_243);
    assert_eq!(event.content_type, None);
    assert_eq!(event.data.as_deref(), Some(&b"{}"[..]));
    let names: Vec<&str> = event.extensions.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "kafkaoffset",
            "kafkapartition",
            "kafkatimestamptype",
            "kafkatopic"
        ]
    );
    assert_eq!(extension(&event, "kafkaoffset"), Some("41"));
    assert_eq!(extension(&event, "kafkatimestamptype"), Some("create"));
}

#[test]
fn no_value_is_not_an_empty_value() {
    let tombstone = Record {
        value: None,
        ..record()
    };
    let empty = Record {
        value: Some(b""),
        ..record()
    };
    assert_eq!(event(&tombstone).data, None);
    assert_eq!(event(&empty).data, Some(Bytes::new()));
}

#[test]
fn keys_become_subjects_only_if_they_can_be_shown() {
    let long = [b'k'; MAX_SUBJECT + 1];
    type Row<'r> = (Option<&'r [u8]>, &'r str, Option<&'r str>);
    let table: [Row<'_>; 8] = [
        (None, "3/41", None),
        (Some(b""), "3/41", Some("")),
        (Some(b"order 7"), "order 7", Some("b3JkZXIgNw==")),
        (Some("größe".as_bytes()), "größe", Some("Z3LDtsOfZQ==")),
        (Some(b"\xff\x00"), "3/41", Some("/wA=")),
        (Some(b"a\x1b[2J"), "3/41", Some("YRtbMko=")),
        (Some("a\u{202e}b".as_bytes()), "3/41", Some("YeKArmI=")),
        (Some(&long), "3/41", None),
    ];
    for (key, subject, encoded) in table {
        let event = event(&Record { key, ..record() });
        assert_eq!(event.subject.as_deref(), Some(subject));
        if key.is_none() || encoded.is_some() {
            assert_eq!(extension(&event, "kafkakey"), encoded);
        }
    }
}

#[test]
fn headers_keep_order_repeats_bytes_and_missing_values() {
    let headers: Vec<(&str, Option<&[u8]>)> = vec![
        ("b", Some(b"\xff")),
        ("a", Some(b"1")),
        ("b", None),
        ("Content-Type", Some(b"text/csv")),
        ("q\"", Some(b"")),
    ];
    let event = event(&Record {
        headers,
        unreadable_headers: 2,
        ..record()
    });
    assert_eq!(
        extension(&event, "kafkaheaders"),
        Some(
            r#"[["b","/w=="],["a","MQ=="],["b",null],["Content-Type","dGV4dC9jc3Y="],["q\"",""]]"#
        )
    );
    assert_eq!(event.content_type.as_deref(), Some("text/csv"));
    assert_eq!(extension(&event, "kafkaheadersunread"), Some("2"));
}

#[test]
fn a_record_without_a_timestamp_happened_when_it_was_read() {
    let event = event(&Record {
        timestamp: None,
        stamped: "none",
        ..record()
    });
    assert_eq!(event.time.as_millis(), 7);
    assert_eq!(extension(&event, "kafkatimestamptype"), Some("none"));
}

#[test]
fn a_time_that_nobody_can_write_down_is_none() {
    for far in [i64::MAX, i64::MIN, 253_402_300_800_000] {
        let event = event(&Record {
            timestamp: Some(far),
            ..record()
        });
        assert_eq!(event.time.as_millis(), 7);
    }
}

fn binary_headers() -> Vec<(&'static str, Option<&'static [u8]>)> {
    vec![
        ("ce_specversion", Some(b"1.0")),
        ("ce_id", Some(b"e-1")),
        ("ce_source", Some(b"/shop")),
        ("ce_type", Some(b"order.paid")),
        ("ce_time", Some(b"2026-11-24T21:17:38.243Z")),
        ("ce_subject", Some(b"7")),
        ("ce_traceparent", Some(b"00-1")),
        ("ce_kafkaoffset", Some(b"forged")),
        ("ce_Not_An_Extension", Some(b"x")),
        ("content-type", Some(b"application/json")),
    ]
}

#[test]
fn binary_cloudevents_pass_through() {
    let event = event(&Record {
        timestamp: Some(1),
        headers: binary_headers(),
        ..record()
    });
    assert_eq!((event.id.as_str(), event.source.as_str()), ("e-1", "/shop"));
    assert_eq!(event.kind, "order.paid");
    assert_eq!(event.subject.as_deref(), Some("7"));
    assert_eq!(event.time.as_millis(), 1_795_555_058_243);
    assert_eq!(event.content_type.as_deref(), Some("application/json"));
    assert_eq!(event.data.as_deref(), Some(&b"{}"[..]));
    assert_eq!(extension(&event, "traceparent"), Some("00-1"));
    assert_eq!(
        extension(&event, "kafkaoffset"),
        Some("41"),
        "coordinates cannot be forged"
    );
    assert!(!event.extensions.keys().any(|name| name.contains("Not")));
}

#[test]
fn a_cloudevent_cannot_say_what_only_the_hub_says() {
    let own = [
        "kafkatopic",
        "kafkapartition",
        "kafkaoffset",
        "kafkatimestamptype",
        "kafkakey",
        "kafkaheaders",
        "kafkaheadersunread",
        "httpmethod",
        "httppath",
        "httpquery",
        "httpparams",
    ];
    let names = own.map(|name| format!("ce_{name}"));
    let mut headers: Vec<(&str, Option<&[u8]>)> = binary_headers();
    headers.extend(
        names
            .iter()
            .map(|name| (name.as_str(), Some(&b"forged"[..]))),
    );
    let binary = event(&Record {
        headers,
        ..record()
    });
    let members = own.map(|name| format!(r#","{name}":"forged""#)).concat();
    let value = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{members}}}"#);
    let structured = event(&Record {
        value: Some(value.as_bytes()),
        headers: vec![("content-type", Some(b"application/cloudevents+json"))],
        ..record()
    });
    for event in [binary, structured] {
        assert_eq!(extension(&event, "kafkaoffset"), Some("41"));
        assert!(!event.extensions.values().any(|value| value == "forged"));
    }
}

#[test]
fn what_only_looks_like_a_cloudevent_is_delivered_as_it_is() {
    let missing = ["ce_specversion", "ce_id", "ce_source", "ce_type"];
    for name in missing {
        let mut headers = binary_headers();
        headers.retain(|(known, _)| *known != name);
        assert_eq!(
            event(&Record {
                headers,
                ..record()
            })
            .kind,
            KIND,
            "without {name}"
        );
    }
    for (name, value) in [("ce_id", ""), ("ce_specversion", "0.3")] {
        let mut headers = binary_headers();
        headers.retain(|(known, _)| *known != name);
        headers.push((name, Some(value.as_bytes())));
        assert_eq!(
            event(&Record {
                headers,
                ..record()
            })
            .kind,
            KIND,
            "{name} = {value:?}"
        );
    }
}

fn structured(value: &'static str) -> Event {
    let kind: &[u8] = b"application/cloudevents+json; charset=utf-8";
    let headers = vec![("content-type", Some(kind))];
    event(&Record {
        value: Some(value.as_bytes()),
        headers,
        ..record()
    })
}

#[test]
fn structured_cloudevents_pass_through() {
    let with = |rest: &str| {
        let text = format!(
            r#"{{"specversion":"1.0","id":"e","source":"/s","type":"t","n":5,"ok":true,"none":null{rest}}}"#
        );
        structured(text.leak())
    };
    let bare = with("");
    assert_eq!((bare.id.as_str(), bare.kind.as_str()), ("e", "t"));
    assert_eq!(
        (bare.data.as_deref(), bare.content_type.as_deref()),
        (None, None)
    );
    assert_eq!(
        (extension(&bare, "n"), extension(&bare, "ok")),
        (Some("5"), Some("true"))
    );
    assert_eq!(extension(&bare, "none"), None);
    let table = [
        (
            r#","data":{"a" :1}"#,
            &br#"{"a" :1}"#[..],
            "application/json",
        ),
        (r#","data":"x""#, br#""x""#, "application/json"),
        (
            r#","data":"x","datacontenttype":"text/plain""#,
            b"x",
            "text/plain",
        ),
        (
            r#","data_base64":"/wA=","datacontenttype":"image/png""#,
            b"\xff\0",
            "image/png",
        ),
    ];
    for (rest, data, content_type) in table {
        let event = with(rest);
        assert_eq!(event.data.as_deref(), Some(data), "{rest}");
        assert_eq!(event.content_type.as_deref(), Some(content_type), "{rest}");
    }
}

#[test]
fn broken_structured_cloudevents_are_delivered_as_they_are() {
    for value in [
        "",
        "not json",
        "[]",
        r#"{"specversion":"1.0","id":"e","type":"t"}"#,
    ] {
        let event = structured(value);
        assert_eq!(event.kind, KIND, "{value}");
        assert_eq!(event.data.as_deref(), Some(value.as_bytes()), "{value}");
    }
}
