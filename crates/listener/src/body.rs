//! Reading a request's body, bounded in bytes and in time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::{Accepted, Problem};

/// The whole body: at most `limit` bytes, all of them there `within` that time, however they trickle in.
///
/// # Errors
/// 413 for more bytes (announced or sent), 408 for less speed, 400 for a body that breaks off.
pub async fn read_body(body: Body, limit: usize, within: Duration) -> Result<Bytes, Problem> {
    match timeout(within, collect(body, limit)).await {
        Ok(read) => read,
        Err(_) => Err(refused(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body took too long",
        )
        .detail(format!(
            "it must be there within {} s",
            within.as_secs_f64()
        ))),
    }
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
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
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
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
        let so_far = first.as_ref().map_or(0, Bytes::len).max(more.len());
        if data.len() > limit - so_far {
            return Err(too_large());
        }
        // Most bodies are one frame, which is handed on without a copy.
        match first.take() {
            None if more.is_empty() => first = Some(data),
            None => more.extend_from_slice(&data),
            Some(head) => {
                more.reserve(announced.max(head.len() + data.len()));
                more.extend_from_slice(&head);
                more.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| more.freeze()))
}

fn refused(status: StatusCode, kind: &'static str, title: &str) -> Problem {
    Problem::new(status, kind, title).accepted(Accepted::No)
}

#[cfg(test)]
mod tests;
