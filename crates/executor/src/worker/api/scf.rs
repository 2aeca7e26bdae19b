//! SCF's Runtime API for custom runtimes: the paths name no event, and every success is 200.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use super::{Api, Reply, body, reply};
use crate::worker::event_slot::{Answer, Dialect};

/// `call` is what follows `/runtime/` in the path.
pub(super) async fn reply(api: &Api, call: &str, head: &Parts, body: &mut Incoming) -> Reply {
    match (&head.method, call) {
        // It reports nothing that asking for an event does not.
        (&Method::POST, "init/ready") => reply::ok(StatusCode::OK),
        (&Method::GET, "invocation/next") => next(api).await,
        (&Method::POST, "invocation/response") => answer(api, head, body, false).await,
        (&Method::POST, "invocation/error") => answer(api, head, body, true).await,
        (_, "init/ready" | "invocation/next" | "invocation/response" | "invocation/error") => {
            reply::wrong_method()
        }
        _ => reply::unknown_path(),
    }
}

async fn next(api: &Api) -> Reply {
    let Ok(event) = api.event_slot.take(Dialect::Scf).await else {
        return reply::stale();
    };
    // What waiting for the instance has left of the function's timeout.
    let left = event.deadline.saturating_duration_since(Instant::now());
    let mut reply = reply::with_json(StatusCode::OK, Bytes::clone(&event.data));
    let headers = [
        ("request_id", event.id.clone()),
        ("memory_limit_in_mb", api.endpoint.memory_mib.to_string()),
        ("time_limit_in_ms", left.as_millis().to_string()),
    ];
    let trace = event.traceparent.clone().map(|text| ("traceparent", text));
    for (name, value) in headers.into_iter().chain(trace) {
        if let Ok(value) = HeaderValue::try_from(value) {
            reply
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    reply
}

async fn answer(api: &Api, head: &Parts, body: &mut Incoming, is_error: bool) -> Reply {
    let Ok(event) = api.event_slot.current(None) else {
        return reply::stale();
    };
    let answer = if is_error {
        body::report(&head.headers, body).await.map(Answer::Error)
    } else {
        body::response(body, &event).await
    };
    let Ok(answer) = answer else {
        return reply::broken();
    };
    let too_large = answer == Answer::TooLarge;
    match api.event_slot.answer(&event, answer) {
        Ok(()) if too_large => reply::too_large(event.max_answer_bytes),
        Ok(()) => reply::ok(StatusCode::OK),
        Err(_) => reply::stale(),
    }
}
