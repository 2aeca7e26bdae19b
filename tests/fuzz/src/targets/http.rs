//! An HTTP request, plain or a CloudEvent, and the event it becomes.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use tripline_http::fuzz::{Seen, request};
use tripline_model::{Event, TriggerName};

use super::NOW;
use crate::events;
use crate::message::Message;

/// `POST /path?query`, headers, body.
pub(crate) fn http(bytes: &[u8]) {
    let message = Message::of(bytes);
    let mut words = message.first.split(|byte| *byte == b' ');
    let method = words
        .next()
        .and_then(|word| Method::from_bytes(word).ok())
        .unwrap_or(Method::POST);
    let uri = words.next().and_then(|word| Uri::try_from(word).ok());
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method;
    parts.uri = uri.unwrap_or_default();
    for (name, value) in &message.headers {
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            parts.headers.append(name, value);
        }
    }
    let body = Bytes::copy_from_slice(message.body.unwrap_or_default());
    let name = TriggerName::new("gate").expect("a name");
    let seen = request(&name, &parts, body.clone(), NOW);
    assert_eq!(seen, request(&name, &parts, body.clone(), NOW));
    match seen {
        Ok(seen) => check(&seen, &parts, &body, &name),
        Err(why) => check_refusal(&why, bytes.len()),
    }
}

fn check(seen: &Seen, parts: &http::request::Parts, body: &Bytes, name: &TriggerName) {
    let event = &seen.event;
    events::check(event);
    no_controls(event);
    let extension = |name: &str| event.extensions.get(name).map(String::as_str);
    assert_eq!(extension("httpmethod"), Some(parts.method.as_str()));
    assert_eq!(extension("httppath"), Some(parts.uri.path()));
    if let Some(key) = &seen.key {
        assert!((1..=255).contains(&key.len()), "{key:?}");
        assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key:?}");
    }
    // The same key with one more byte is another request.
    let longer = Bytes::from([body.as_ref(), b" "].concat());
    if let Ok(other) = request(name, parts, longer, NOW) {
        assert_ne!(seen.digest, other.digest);
    }
}

/// Nothing that a terminal, a log or a header could take for more than text.
pub(super) fn no_controls(event: &Event) {
    let attributes = [&event.id, &event.source, &event.kind];
    let attributes = attributes.into_iter().chain(&event.subject);
    let mut all = attributes
        .chain(&event.content_type)
        .chain(event.extensions.values());
    let found = all.find(|text| text.chars().any(|c| c.is_control() && c != '\t'));
    assert_eq!(found, None);
}

pub(super) fn check_refusal(why: &str, sent: usize) {
    assert!(!why.is_empty());
    assert!(why.len() <= 1024 + sent, "{} bytes of words", why.len());
    assert!(!why.chars().any(char::is_control), "{why:?}");
}
