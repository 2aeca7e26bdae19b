//! What an event looks like to a function: its data alone, a CloudEvent, or the shape that a cloud's own functions get.
//!
//! `scf` and `aws` know objects, Kafka records, timer ticks and HTTP requests. Data that came through the API is
//! handed on as it is, if it is JSON: whoever called the function chose its shape. Everything else is a CloudEvent.
//! What a cloud would know and the hub does not (account, region, the sender's address) is left out, or empty where
//! the cloud always has the member.

mod attributes;
mod aws;
mod cloudevents;
mod occurrence;
mod scf;
mod text;

use bytes::Bytes;
use serde_json::value::RawValue;
use tripline_model::{Event, Invocation};

pub(crate) use attributes::{attributes, percent_encoded};
use occurrence::Occurrence;

/// The shape in which a function gets its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventFormat {
    /// The data as it is; no value is no bytes.
    Raw,
    /// CloudEvents 1.0 in structured JSON.
    CloudEvents,
    /// As Tencent SCF hands it to its functions.
    Scf,
    /// As AWS Lambda hands it to its functions.
    Aws,
}

/// The bytes that a function gets for `invocation`, whose data must still be there.
pub fn render(invocation: &Invocation, format: EventFormat) -> Bytes {
    match format {
        EventFormat::Raw => invocation.event.data.clone().unwrap_or_default(),
        EventFormat::CloudEvents => cloudevents::structured(&invocation.event),
        EventFormat::Scf => in_shape(invocation, scf::shape),
        EventFormat::Aws => in_shape(invocation, aws::shape),
    }
}

/// What a cloud hands on for what happened, or a CloudEvent where it knows no such thing.
fn in_shape(
    invocation: &Invocation,
    shape: fn(&Invocation, &Occurrence<'_>) -> Option<Bytes>,
) -> Bytes {
    let event = &invocation.event;
    let occurrence = Occurrence::of(invocation);
    let shaped = match occurrence {
        Occurrence::Call => call(event),
        _ => shape(invocation, &occurrence),
    };
    shaped.unwrap_or_else(|| cloudevents::structured(event))
}

/// The JSON of a call as it is; both clouds hand on an empty object where there is no data.
fn call(event: &Event) -> Option<Bytes> {
    let data = event.data.clone().unwrap_or_default();
    if data.is_empty() {
        return Some(Bytes::from_static(b"{}"));
    }
    as_json(&data).is_some().then_some(data)
}

/// The data, if it is one JSON value.
fn as_json(data: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(data).ok()
}

#[cfg(test)]
mod tests;
