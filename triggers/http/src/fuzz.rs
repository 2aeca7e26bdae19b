//! The way in for the fuzz targets of `tests/fuzz`: what a request becomes, without a gateway around it.

use bytes::Bytes;
use http::request::Parts;
use tripline_listener::idempotency_key;
use tripline_model::{Event, Timestamp, TriggerName};

use crate::cloudevents::Form;
use crate::event::{self, Arrival};
use crate::key;

/// What was made of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The event that is offered.
    pub event: Event,
    /// The idempotency key, 1 to 255 visible characters.
    pub key: Option<String>,
    /// What the request is recognised by when its key comes again.
    pub digest: [u8; 32],
}

/// The event of a request with its whole body; it came at `now`.
///
/// # Errors
/// Why the request is refused.
pub fn request(
    trigger: &TriggerName,
    parts: &Parts,
    body: Bytes,
    now: Timestamp,
) -> Result<Seen, String> {
    let form = Form::of(&parts.headers);
    if let Form::Unsupported(why) = form {
        return Err(why.to_owned());
    }
    let key = idempotency_key(&parts.headers).map_err(|problem| problem.detail)?;
    let digest = key::digest(&parts.method, &parts.uri, &parts.headers, &body);
    let id = key.clone().unwrap_or_else(|| "made".to_owned());
    let arrival = Arrival { trigger, now, id };
    let event = event::of(form, arrival, parts, body);
    let mut event = event.map_err(|error| error.to_string())?;
    event::add_request(&mut event, parts, Vec::new());
    Ok(Seen { event, key, digest })
}
