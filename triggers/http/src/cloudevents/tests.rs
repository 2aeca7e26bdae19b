//! CloudEvents in both forms, right and wrong.

use http::{HeaderName, HeaderValue};

use super::*;

const NOON: Timestamp = Timestamp::from_millis(1_795_521_600_000);

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name of the test");
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
    headers
}

const REQUIRED: [(&str, &str); 4] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "1"),
    ("ce-source", "/shop"),
    ("ce-type", "order.made"),
];

fn with(more: &[(&str, &str)]) -> HeaderMap {
    headers(&[&REQUIRED, more].concat())
}

#[test]
fn the_form_is_seen_in_the_headers() {
    let form = |list: &[(&str, &str)]| Form::of(&headers(list));
    assert_eq!(form(&[]), Form::Plain);
    assert_eq!(
        form(&[("content-type", "application/json"), ("ce-x", "1")]),
        Form::Plain
    );
    assert_eq!(form(&[("ce-id", "1")]), Form::Binary);
    for kind in [
        "application/cloudevents+json",
        "Application/CloudEvents+JSON; charset=utf-8",
    ] {
        assert_eq!(form(&[("content-type", kind)]), Form::Structured, "{kind}");
    }
    for kind in [
        "application/cloudevents-batch+json",
        "application/cloudevents+xml",
    ] {
        let form = form(&[("content-type", kind)]);
        assert!(matches!(form, Form::Unsupported(_)), "{kind}");
    }
}

#[test]
fn binary_keeps_every_attribute() {
    let more = [
        ("ce-time", "2026-11-24T10:00:00+01:00"),
        ("ce-subject", "caf%C3%A9 %22x%22%20%25"),
        ("ce-region", "\"a \\\"quoted\\\" one\""),
        ("ce-dataschema", "https://example.org/s"),
        ("content-type", "text/plain"),
        ("authorization", "Bearer secret"),
        ("cookie", "a=b"),
    ];
    let event = binary(&with(&more), Bytes::from_static(b"hi"), NOON).expect("it is one");
    assert_eq!(event.id, "1");
    assert_eq!(event.source, "/shop");
    assert_eq!(event.kind, "order.made");
    assert_eq!(event.subject.as_deref(), Some("café \"x\" %"));
    assert_eq!(event.time.to_string(), "2026-11-24T09:00:00.000Z");
    assert_eq!(event.content_type.as_deref(), Some("text/plain"));
    assert_eq!(event.data.as_deref(), Some(b"hi".as_slice()));
    let extensions: Vec<_> = event.extensions.into_iter().collect();
    let expected = [
        ("dataschema", "https://example.org/s"),
        ("region", "a \"quoted\" one"),
    ];
    assert_eq!(
        extensions,
        expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
}

#[test]
fn binary_that_is_none() {
    let refused = |headers: HeaderMap| {
        let error = binary(&headers, Bytes::new(), NOON).expect_err("it is none");
        error.to_string()
    };
    assert_eq!(refused(headers(&REQUIRED[1..])), "`specversion` is missing");
    assert_eq!(refused(headers(&REQUIRED[..3])), "`type` is missing");
    for (header, words) in [
        (("ce-time", "yesterday"), "`time` is not an RFC 3339 time"),
        (("ce-id", "2"), "the header `ce-id` is there twice"),
        (
            ("ce-subject", "%ff"),
            "the header `ce-subject` is not percent-encoded UTF-8",
        ),
        (
            ("ce-subject", "a%0Ab"),
            "`subject` holds control characters",
        ),
        (
            ("ce-subject", "%1b[31m"),
            "`subject` holds control characters",
        ),
        (("ce-data", "x"), "`data` cannot be an attribute here"),
        (
            ("ce-my-name", "x"),
            "the extension name \"my-name\" must be 1 to 20 characters out of a-z and 0-9",
        ),
    ] {
        assert_eq!(refused(with(&[header])), words);
    }
    let old = headers(&[("ce-specversion", "0.3"), ("ce-id", "1")]);
    assert_eq!(refused(old), "`specversion` must be 1.0");
    let empty = headers(&[("ce-specversion", "1.0"), ("ce-id", "")]);
    assert_eq!(refused(empty), "`id` is empty");
}

fn parse(more: &str) -> Result<Event, String> {
    let body = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{more}}}"#);
    structured(body.as_bytes(), NOON).map_err(|error| error.to_string())
}

#[test]
fn structured_data_keeps_its_bytes() {
    let data = |more: &str| {
        let event = parse(more).expect("it is one");
        let data = event
            .data
            .map(|data| String::from_utf8_lossy(&data).into_owned());
        (event.content_type, data)
    };
    let some = |kind: &str, data: &str| (Some(kind.to_owned()), Some(data.to_owned()));
    assert_eq!(
        data(r#","data":{"b":1.10, "a":12345678901234567890}"#),
        some(
            "application/json",
            r#"{"b":1.10, "a":12345678901234567890}"#
        )
    );
    assert_eq!(data(r#","data":"x""#), some("application/json", "\"x\""));
    assert_eq!(
        data(r#","datacontenttype":"text/plain","data":"a\nb""#),
        some("text/plain", "a\nb")
    );
    assert_eq!(
        data(r#","datacontenttype":"application/vnd.x+json; v=1","data":"x""#),
        some("application/vnd.x+json; v=1", "\"x\"")
    );
    assert_eq!(
        data(r#","datacontenttype":"image/x","data_base64":"aGk=""#),
        some("image/x", "hi")
    );
    assert_eq!(data(""), (None, None));
    assert_eq!(data(r#","data":null"#), (None, None));
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(data(&format!(r#","data":{deep}"#)).1, Some(deep));
}

#[test]
fn structured_attributes_become_text() {
    let event = parse(r#","count":7,"hot":true,"note":"\u00e9","gone":null"#).expect("it is one");
    let extensions: Vec<_> = event.extensions.into_iter().collect();
    let expected = [("count", "7"), ("hot", "true"), ("note", "é")];
    assert_eq!(
        extensions,
        expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
    assert_eq!(event.time, NOON);
}

#[test]
fn structured_that_is_none() {
    for (more, words) in [
        (
            r#","count":1.5"#,
            "`count` must be a string, a boolean or a 32-bit integer",
        ),
        (r#","count":4294967296"#, "`count` must be"),
        (r#","list":[]"#, "`list` must be"),
        (r#","id":"2""#, "\"id\" is there twice"),
        (r#","data":1,"data_base64":"aGk=""#, "exclude each other"),
        (r#","data_base64":"%%""#, "`data_base64` is not base64"),
        (r#","data_base64":7"#, "`data_base64` is not base64"),
        (
            r#","subject":"a\u0000b""#,
            "`subject` holds control characters",
        ),
        (
            r#","datacontenttype":"text/plain\r\nX-A: b","data":"x""#,
            "`datacontenttype` holds control characters",
        ),
        (
            r#","time":"9999-12-31T23:59:59-00:01""#,
            "`time` is not an RFC 3339 time",
        ),
        (r#","Upper":"x""#, "the extension name \"Upper\""),
        (r#","subject":"\ud800""#, "`subject` must be"),
        (",", "the body is not a JSON object"),
    ] {
        let error = parse(more).expect_err("it is none");
        assert!(error.contains(words), "{more}: {error}");
    }
    for body in [
        b"".as_slice(),
        b"[]",
        b"\"x\"",
        b"{",
        b"\xff\xfe",
        b"{\"id\":\"\xff\"}",
        b"{} x",
    ] {
        assert!(structured(body, NOON).is_err(), "{body:?}");
    }
}
