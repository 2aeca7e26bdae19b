//! Reading what an instance sends: bounded, with the trailers in which a streamed response says that it failed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use serde::Deserialize;
use tokio::time::timeout;

use crate::worker::event_slot::{Answer, Event, Report};

/// Bytes of an error report that are read.
const MAX_REPORT_BYTES: usize = 1 << 20;

/// Bytes of its message and type that are kept.
const MAX_MESSAGE_BYTES: usize = 8 << 10;
const MAX_KIND_BYTES: usize = 256;

/// Bytes and time for what is read and thrown away.
const MAX_DRAINED_BYTES: usize = 16 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// What an error is called that has no name.
const UNNAMED: &str = "Unhandled";

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// The body did not come to its end.
pub(super) struct Broken;

/// The response to an event. What is over its bound is not read.
pub(super) async fn response(body: &mut Incoming, event: &Event) -> Result<Answer, Broken> {
    match read(body, event.max_answer_bytes).await? {
        Read::Whole(_, trailers) if trailers.contains_key(ERROR_TYPE) => {
            let encoded = trailers.get(ERROR_BODY).map(|value| value.as_bytes());
            let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
            let body = Bytes::from(decoded.unwrap_or_default());
            Ok(Answer::Error(parse(&trailers, body)))
        }
        Read::Whole(body, _) => Ok(Answer::Response(body)),
        Read::TooLarge => Ok(Answer::TooLarge),
    }
}

/// An error report, in whatever form it comes.
pub(super) async fn report(headers: &HeaderMap, body: &mut Incoming) -> Result<Report, Broken> {
    Ok(match read(body, MAX_REPORT_BYTES).await? {
        Read::Whole(body, _) => parse(headers, body),
        Read::TooLarge => Report {
            message: format!("(a report of more than {MAX_REPORT_BYTES} bytes)"),
            ..parse(headers, Bytes::new())
        },
    })
}

/// Reads what was not read, within reason.
pub(super) async fn drain(body: &mut Incoming) {
    let rest = async {
        let mut left = MAX_DRAINED_BYTES;
        while !body.is_end_stream() && left > 0 {
            match body.frame().await {
                Some(Ok(frame)) => {
                    left = left.saturating_sub(frame.data_ref().map_or(1, Bytes::len))
                }
                Some(Err(_)) | None => return,
            }
        }
    };
    let _ = timeout(DRAIN_TIMEOUT, rest).await;
}

enum Read {
    Whole(Bytes, HeaderMap),
    TooLarge,
}

async fn read(body: &mut Incoming, limit: usize) -> Result<Read, Broken> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Ok(Read::TooLarge);
    }
    // Copied, even what came in one piece: that is a part of the connection's buffer, and would keep all of it until the
    // hub has taken the answer.
    let mut whole = Vec::with_capacity(announced);
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Broken)?.into_data() {
            Ok(data) if whole.len() + data.len() > limit => return Ok(Read::TooLarge),
            Ok(data) => whole.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let whole = whole.into_boxed_slice().into();
    Ok(Read::Whole(whole, trailers))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    error_type: Option<String>,
    error_message: Option<String>,
}

fn parse(headers: &HeaderMap, body: Bytes) -> Report {
    let fields = serde_json::from_slice::<Fields>(&body).ok();
    let (kind, message) = fields.map_or((None, None), |fields| {
        (fields.error_type, fields.error_message)
    });
    let header = headers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.filter(|kind| !kind.is_empty());
    let kind = kind.or_else(|| header.map(str::to_owned));
    let message = message.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    Report {
        kind: cut(kind.unwrap_or_else(|| UNNAMED.to_owned()), MAX_KIND_BYTES),
        message: cut(message, MAX_MESSAGE_BYTES),
        body,
    }
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}
