//! AWS Lambda's Runtime API, version 2018-06-01, as `awslambdaric`, `aws-lambda-ric` and `lambda_runtime` use it.
//! Nothing is ever restored from a snapshot here, so its calls are unknown.

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::{Api, Reply, body, reply};
use crate::worker::event_slot::{Answer, Dialect, Event};

/// `call` is what follows the version in the path.
pub(super) async fn reply(api: &Api, call: &str, head: &Parts, body: &mut Incoming) -> Reply {
    let parts: Vec<&str> = call.split('/').collect();
    match (&head.method, parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(api).await,
        (&Method::POST, ["invocation", id, "response"]) => response(api, id, body).await,
        (&Method::POST, ["invocation", id, "error"]) => error(api, id, head, body).await,
        (&Method::POST, ["init", "error"]) => init_error(api, head, body).await,
        (
            _,
            ["invocation", "next"] | ["invocation", _, "response" | "error"] | ["init", "error"],
        ) => reply::wrong_method(),
        _ => reply::unknown_path(),
    }
}

async fn next(api: &Api) -> Reply {
    match api.event_slot.take(Dialect::Aws).await {
        Ok(event) => with_event(api, &event),
        Err(_) => reply::refused(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "the event before has no answer yet",
        ),
    }
}

fn with_event(api: &Api, event: &Event) -> Reply {
    let function = &api.endpoint.function;
    let headers = [
        ("lambda-runtime-aws-request-id", event.id.clone()),
        (
            "lambda-runtime-deadline-ms",
            event.deadline_ms.max(0).to_string(),
        ),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:local:000000000000:function:{function}"),
        ),
        ("lambda-runtime-trace-id", xray(event)),
    ];
    let trace = event.traceparent.clone().map(|text| ("traceparent", text));
    let mut reply = reply::with_json(StatusCode::OK, event.data.clone());
    for (name, value) in headers.into_iter().chain(trace) {
        if let Ok(value) = HeaderValue::try_from(value) {
            reply
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    reply
}

/// The trace in X-Ray's form: eight digits of time, twenty-four of chance, and the span above the function's own.
fn xray(event: &Event) -> String {
    let parts = event.traceparent.as_deref().unwrap_or_default();
    if let [_, trace, span, flags] = *parts.split('-').collect::<Vec<_>>()
        && let Some((time, rest)) = trace.split_at_checked(8)
    {
        let sampled = u8::from(flags.ends_with('1'));
        return format!("Root=1-{time}-{rest};Parent={span};Sampled={sampled}");
    }
    // A RequestId has its time first, too.
    let hex: String = event.id.chars().filter(|c| *c != '-').collect();
    let (time, rest) = hex.split_at_checked(8).unwrap_or((&hex, ""));
    format!("Root=1-{time}-{rest};Sampled=0")
}

async fn response(api: &Api, id: &str, body: &mut Incoming) -> Reply {
    let Ok(event) = api.event_slot.current(Some(id)) else {
        return reply::stale();
    };
    let Ok(answer) = body::response(body, &event).await else {
        return reply::broken();
    };
    let too_large = answer == Answer::TooLarge;
    match api.event_slot.answer(&event, answer) {
        Ok(()) if too_large => reply::too_large(event.max_answer_bytes),
        Ok(()) => reply::ok(StatusCode::ACCEPTED),
        Err(_) => reply::stale(),
    }
}

async fn error(api: &Api, id: &str, head: &Parts, body: &mut Incoming) -> Reply {
    let Ok(event) = api.event_slot.current(Some(id)) else {
        return reply::stale();
    };
    let Ok(report) = body::report(&head.headers, body).await else {
        return reply::broken();
    };
    match api.event_slot.answer(&event, Answer::Error(report)) {
        Ok(()) => reply::ok(StatusCode::ACCEPTED),
        Err(_) => reply::stale(),
    }
}

async fn init_error(api: &Api, head: &Parts, body: &mut Incoming) -> Reply {
    let Ok(report) = body::report(&head.headers, body).await else {
        return reply::broken();
    };
    match api.event_slot.fail_init(report) {
        Ok(()) => reply::ok(StatusCode::ACCEPTED),
        Err(_) => reply::refused(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "the instance has asked for events already",
        ),
    }
}
