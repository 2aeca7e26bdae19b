use serde_json::json;

use super::*;

#[test]
fn raw_is_the_data() {
    assert_eq!(render(&request(None, BINARY), EventFormat::Raw), BINARY);
    assert_eq!(render(&record(None), EventFormat::Raw), b"".as_slice());
}

#[test]
fn a_cloud_event_has_every_attribute_and_json_as_it_was_written() {
    let json = br#"{ "n": 1.000000000000000000001, "n": "twice" }"#;
    let mut invocation = request(Some("application/vnd.x+json; charset=utf-8"), json);
    invocation.event.subject = Some("a \"b\"\n\u{202e}</script>".to_owned());
    let text = render(&invocation, EventFormat::CloudEvents);
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(
        text.contains(r#""data":{ "n": 1.000000000000000000001, "n": "twice" }"#),
        "{text}"
    );
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document.as_object_mut().unwrap().remove("data");
    let expected = json!({
        "specversion": "1.0",
        "id": "e-1",
        "source": "/triggers/gate",
        "type": "tripline.http.request.v1",
        "subject": "a \"b\"\n\u{202e}</script>",
        "time": "2026-01-01T18:00:00.250Z",
        "datacontenttype": "application/vnd.x+json; charset=utf-8",
        "httpmethod": "POST",
        "httppath": "/jobs/7",
        "httpquery": "v=1&tag=x&tag=y+%26%20z&flag",
        "httpparams": "{\"id\":\"7\"}",
    });
    assert_eq!(document, expected);
}

#[test]
fn data_that_is_no_json_is_in_base64() {
    let deep = "[".repeat(200_000);
    for (content_type, data) in [
        (Some("application/json"), BINARY),
        (Some("application/json"), br#"{"a":"#.as_slice()),
        (Some("application/json"), deep.as_bytes()),
        (Some("text/plain"), b"7".as_slice()),
        (None, b"plain words".as_slice()),
        (None, b"".as_slice()),
    ] {
        let document = rendered(&request(content_type, data), EventFormat::CloudEvents);
        assert_eq!(document.get("data"), None);
        let encoded = document["data_base64"].as_str().unwrap();
        let decoded = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded);
        assert_eq!(decoded.unwrap(), data);
    }
    let number = rendered(&request(None, b"7"), EventFormat::CloudEvents);
    assert_eq!(number["data"], 7);
}

#[test]
fn no_value_is_no_data() {
    let document = rendered(&record(None), EventFormat::CloudEvents);
    assert_eq!(
        (document.get("data"), document.get("data_base64")),
        (None, None)
    );
    assert_eq!(document["kafkaoffset"], "90112");
}

#[test]
fn an_extension_cannot_replace_an_attribute() {
    let invocation = record(Some(b"1"));
    let forged = [
        ("id", "x"),
        ("data", "x"),
        ("specversion", "9"),
        ("ok", "y"),
    ];
    let invocation = triggered(with(invocation.event, &forged));
    let text = render(&invocation, EventFormat::CloudEvents);
    let text = String::from_utf8(text.to_vec()).unwrap();
    for name in ["\"id\":", "\"data\":", "\"specversion\":"] {
        assert_eq!(text.matches(name).count(), 1, "{text}");
    }
    assert!(text.contains(r#""ok":"y""#), "{text}");
}

#[test]
fn calls_with_json_are_handed_on_as_they_are() {
    for format in [EventFormat::Scf, EventFormat::Aws] {
        let json = br#" {"b": 1, "a": 1e999} "#;
        assert_eq!(render(&call(None, json), format), json.as_slice());
        assert_eq!(render(&call(None, b""), format), b"{}".as_slice());
        let text = rendered(&call(Some("text/plain"), b"hello"), format);
        assert_eq!(text["data_base64"], "aGVsbG8=");
        let other = triggered(event("com.example.thing", None, b"{}"));
        assert_eq!(rendered(&other, format)["type"], "com.example.thing");
        let broken = triggered(event("com.amazonaws.s3.ObjectCreated:Put", None, b"{}"));
        assert_eq!(rendered(&broken, format)["specversion"], "1.0");
    }
}

#[test]
fn a_request_cannot_pass_for_a_record_or_a_tick() {
    let mut invocation = request(None, b"{}");
    invocation.event.kind = "tripline.cron.tick.v1".to_owned();
    let forged = [
        ("kafkatopic", "orders"),
        ("kafkapartition", "0"),
        ("kafkaoffset", "1"),
    ];
    let invocation = triggered(with(invocation.event, &forged));
    assert_eq!(rendered(&invocation, EventFormat::Aws)["version"], "2.0");
    assert_eq!(
        rendered(&invocation, EventFormat::Scf)["httpMethod"],
        "POST"
    );
}
