//! Small conversions that the clouds' shapes share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use tripline_model::{Event, Timestamp};

use super::{attributes, percent_encoded};

/// What stays as it is in the path of a URL.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What stays as it is in a form, and the slash, which AWS leaves alone in keys.
const IN_A_FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*')
    .remove(b' ');

/// CloudEvents `type` of requests that are no CloudEvents themselves.
const PLAIN_REQUEST: &str = "tripline.http.request.v1";

/// Bytes as text if they are text, else in base64; and whether they are in base64.
pub(super) fn or_base64(bytes: &[u8]) -> (String, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(bytes), true),
    }
}

pub(super) fn path_encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_A_PATH).to_string()
}

/// Spaces become `+`.
pub(super) fn form_encoded(text: &str) -> String {
    let escaped = utf8_percent_encode(text, IN_A_FORM).to_string();
    escaped.replace(' ', "+")
}

/// The parameters of a query in their order; one without `=` has no value. What is not UTF-8 is replaced.
pub(super) fn query(text: &str) -> Vec<(String, Option<String>)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (form_decoded(name), Some(form_decoded(value))),
            None => (form_decoded(pair), None),
        })
        .collect()
}

fn form_decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// The headers of a request that are still known: the content type, and a CloudEvent's attributes.
pub(super) fn headers(event: &Event) -> Map<String, Value> {
    let mut headers = Map::new();
    if let Some(content_type) = &event.content_type {
        headers.insert("content-type".to_owned(), content_type.clone().into());
    }
    if event.kind != PLAIN_REQUEST {
        let own = ["httpmethod", "httppath", "httpquery", "httpparams"];
        for (name, value) in attributes(event).filter(|(name, _)| !own.contains(name)) {
            headers.insert(format!("ce-{name}"), percent_encoded(&value).into());
        }
    }
    headers
}

/// RFC 3339 in whole seconds, as in `2026-01-01T18:00:00Z`.
pub(super) fn in_seconds(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}
