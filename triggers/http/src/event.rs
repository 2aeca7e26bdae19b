//! A request as an event.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use tripline_listener::keep_trace;
use tripline_model::{Event, Timestamp, TriggerName};

use crate::cloudevents::{self, Form, NotACloudEvent};

/// CloudEvents `type` of requests that are no CloudEvents themselves.
const KIND: &str = "tripline.http.request.v1";

/// How a request came.
pub(crate) struct Arrival<'a> {
    /// Through which trigger.
    pub(crate) trigger: &'a TriggerName,
    /// When.
    pub(crate) now: Timestamp,
    /// For a request that is no CloudEvent: those have an id of their own.
    pub(crate) id: String,
}

/// What the request says, or that it is no CloudEvent although it claims to be.
pub(crate) fn of(
    form: Form,
    arrival: Arrival<'_>,
    request: &Parts,
    body: Bytes,
) -> Result<Event, NotACloudEvent> {
    match form {
        Form::Binary => cloudevents::binary(&request.headers, body, arrival.now),
        Form::Structured => cloudevents::structured(&body, arrival.now),
        Form::Plain | Form::Unsupported(_) => Ok(plain(arrival, request, body)),
    }
}

/// A request that is no CloudEvent. Its headers stay here: `Authorization` and cookies are nobody's business further in.
fn plain(arrival: Arrival<'_>, request: &Parts, body: Bytes) -> Event {
    Event {
        id: arrival.id,
        source: format!("/triggers/{}", arrival.trigger),
        kind: KIND.to_owned(),
        subject: Some(request.uri.path().to_owned()),
        time: arrival.now,
        content_type: content_type(&request.headers),
        data: Some(body),
        extensions: Default::default(),
    }
}

/// What only the hub says of an event, and no sender.
const OURS: [&str; 4] = ["httpmethod", "httppath", "httpquery", "httpparams"];

/// Adds where the sender stands in a trace, and how the event came: method, path and query as sent, and the route's
/// parameters, decoded, as a JSON object. What a CloudEvent says of that itself is dropped.
pub(crate) fn add_request(event: &mut Event, request: &Parts, params: Vec<(String, String)>) {
    keep_trace(event, &request.headers);
    for name in OURS {
        event.extensions.remove(name);
    }
    let mut add = |name: &str, value: String| event.extensions.insert(name.to_owned(), value);
    add("httpmethod", request.method.to_string());
    add("httppath", request.uri.path().to_owned());
    if let Some(query) = request.uri.query() {
        add("httpquery", query.to_owned());
    }
    if !params.is_empty() {
        let params = params
            .into_iter()
            .map(|(name, value)| (name, serde_json::Value::String(value)));
        let object = serde_json::Value::Object(params.collect());
        add("httpparams", object.to_string());
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    value.to_str().ok().map(str::to_owned)
}
