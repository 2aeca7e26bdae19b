//! Answers that both Runtime APIs give.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::Reply;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn json(status: StatusCode, body: &Value) -> Reply {
    with_json(status, Bytes::from(body.to_string()))
}

pub(super) fn with_json(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}

pub(super) fn ok(status: StatusCode) -> Reply {
    with_json(status, Bytes::from_static(br#"{"status":"OK"}"#))
}

pub(super) fn refused(status: StatusCode, kind: &str, message: &str) -> Reply {
    let body = json!({ "errorType": kind, "errorMessage": message });
    json(status, &body)
}

pub(super) fn unknown_path() -> Reply {
    refused(StatusCode::NOT_FOUND, "NotFound", "there is no such path")
}

pub(super) fn wrong_method() -> Reply {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    refused(status, "MethodNotAllowed", "the path takes another method")
}

/// To an answer that belongs to no event at hand: of an earlier one, or not the first.
pub(super) fn stale() -> Reply {
    let message = "the event is unknown, over, or answered already";
    refused(StatusCode::BAD_REQUEST, "InvalidRequestID", message)
}

pub(super) fn broken() -> Reply {
    let message = "the body did not come to its end";
    refused(StatusCode::BAD_REQUEST, "BrokenBody", message)
}

pub(super) fn too_large(limit: usize) -> Reply {
    let message = format!("the response is larger than the {limit} bytes that are allowed");
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    refused(status, "Function.ResponseSizeTooLarge", &message)
}
