//! Reading a request's body, bounded in bytes and in time.

use std::future::pending;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::bodies::{BodyContext, Share};
use crate::{Acceptance, Problem};

/// Reads the whole body of the request that has these `parts`: at most `limit` bytes, and all of them `within` that
/// time. Keep its [`Share`] of the listener's memory until the body is handed on.
///
/// # Errors
/// 413 for more bytes (announced or sent), 408 for a body that takes longer, 400 for one that breaks off, 503 when other
/// bodies take all the memory there is for bodies.
pub async fn read_body(
    parts: &Parts,
    body: Body,
    limit: usize,
    within: Duration,
) -> Result<(Bytes, Share), Problem> {
    let context = parts.extensions.get::<BodyContext>().cloned();
    let (share, reading) = match context {
        Some(BodyContext { bodies, exchanges }) => {
            (Share::of(bodies), Some(exchanges.begin_body()))
        }
        None => (Share::default(), None),
    };
    let aborted = async {
        match &reading {
            Some(reading) => reading.aborted().await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        read = timeout(within, collect(body, limit, share)) => read.unwrap_or_else(|_| {
            let seconds = within.as_secs_f64();
            Err(too_slow(format!("it must be there within {seconds} s")))
        }),
        () = aborted => {
            Err(too_slow("others wait for its connection"))
        }
    }
}

fn too_slow(detail: impl Into<String>) -> Problem {
    let status = StatusCode::REQUEST_TIMEOUT;
    refused(status, "body_too_slow", "the body took too long").detail(detail)
}

/// Refuses a body with a content encoding: nothing here decodes one, and a function would not know what it got.
///
/// # Errors
/// 415 for any `Content-Encoding` but `identity`.
pub fn refuse_content_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_encoded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(is_encoded)
    {
        return Ok(());
    }
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let title = "packed bodies are not taken";
    let detail =
        "send it without `Content-Encoding`, or as data whose content type says what it is";
    Err(refused(status, "unsupported_encoding", title).detail(detail))
}

async fn collect(
    mut body: Body,
    limit: usize,
    mut share: Share,
) -> Result<(Bytes, Share), Problem> {
    let too_large = || {
        refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is too large",
        )
        .detail(format!("at most {limit} bytes are taken"))
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large());
    }
    // Copied, even one that came in one piece: that is a part of the connection's buffer, and a byte that is kept would keep
    // all of it.
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            refused(
                StatusCode::BAD_REQUEST,
                "body_broken",
                "the body broke off or is malformed",
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - whole.len() {
            return Err(too_large());
        }
        let length = whole.len() + data.len();
        if !share.grow_to(length) {
            return Err(no_room());
        }
        if whole.is_empty() {
            whole.reserve_exact(data.len());
        } else if whole.capacity() < length {
            let room = capacity(length, announced, limit);
            whole.reserve_exact(room - whole.len());
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.into_boxed_slice().into(), share))
}

/// Room for a body of which there are `length` bytes now, all within `limit`: as much as was announced, or, where more
/// may come than that, twice as much, so that it is not copied for every piece.
fn capacity(length: usize, announced: usize, limit: usize) -> usize {
    if announced >= length {
        announced
    } else {
        limit.min(2 * length)
    }
}

fn no_room() -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let title = "too many large bodies are on their way";
    Problem {
        retry_after: Some(Duration::from_secs(1)),
        ..refused(status, "bodies_full", title)
    }
}

fn refused(status: StatusCode, kind: &'static str, title: &str) -> Problem {
    Problem::new(status, kind, title).accepted(Acceptance::No)
}

#[cfg(test)]
mod tests;
