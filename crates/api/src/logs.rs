//! `GET /v1/invocations/{id}/logs`: as text, JSON, or live.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use tokio::sync::OwnedSemaphorePermit;
use tripline_listener::Problem;

use crate::Shared;
use crate::follow::{Form, LogReader, Until};
use crate::invocations::find;
use crate::openapi::{
    Damaged, Identified, LogEvent, Missing, Reading, Unavailable, Unclear, Usual,
};
use crate::params::Params;
use crate::refusal::{Segment, bad_request, request_id};
use crate::wire::LogLineView;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// `Retry-After` for a follower when there are as many as there may be.
const FOLLOW_RETRY_AFTER: Duration = Duration::from_secs(5);
/// The largest `limit` on the lines in one response.
const MAX_LIMIT: u64 = 1_000_000;

/// Answers with the log, in pieces, as fast as the reader takes them.
#[utoipa::path(
    get,
    path = "/v1/invocations/{id}/logs",
    operation_id = "read_log",
    tag = "invocations",
    summary = "The log of an invocation",
    description = "As text, as JSON, or followed live as server-sent events until the invocation ends.",
    params(Identified, Reading),
    responses(
        Usual,
        Unclear,
        Missing,
        Damaged,
        Unavailable,
        (
            status = 200,
            description = "The log",
            content(
                (String = "text/plain; charset=utf-8"),
                (Vec<LogLineView> = "application/json"),
                (LogEvent = "text/event-stream")
            )
        )
    )
)]
pub(crate) async fn logs(
    State(shared): State<Shared>,
    segment: Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = request_id(segment)?;
    let params = Params::read(&uri, &["format", "after", "limit", "follow"])?;
    let follow = params.flag("follow")?;
    let form = form(&params, &headers, follow)?;
    let number = |text: &str| text.parse::<u64>().ok();
    let after = params.get("after", "the number of a line", number)?;
    let limit = params.limit("limit", MAX_LIMIT)?;
    let invocation = find(&shared.hub, id).await?;
    let permit = follow.then(|| follower_permit(&shared)).transpose()?;
    let resume = if follow {
        last_event_id(&headers)?
    } else {
        None
    };
    let after = resume.or(after).unwrap_or(0);
    let until = if follow { Until::End } else { Until::Now };
    let mut reader = LogReader::new(shared.hub, &invocation, form, until)
        .after(after)
        .holding(permit);
    if let Some(limit) = limit {
        reader = reader.at_most(limit);
    }
    // What fails now becomes a problem document; what fails later can only break the response off.
    let first = reader.next_piece().await?.unwrap_or_default();
    let body = Body::from_stream(reader.into_stream(first));
    Ok(([(header::CONTENT_TYPE, form.content_type())], body).into_response())
}

fn follower_permit(shared: &Shared) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = Arc::clone(&shared.followers).try_acquire_owned();
    permit.map_err(|_| Problem {
        retry_after: Some(FOLLOW_RETRY_AFTER),
        ..Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_followers",
            "too many logs are being followed",
        )
    })
}

fn form(params: &Params, headers: &HeaderMap, follow: bool) -> Result<Form, Problem> {
    let parse = |text: &str| match text {
        "text" => Some(Form::Text),
        "json" => Some(Form::Json),
        "sse" => Some(Form::Events),
        _ => None,
    };
    if let Some(form) = params.get("format", "text, json or sse", parse)? {
        return Ok(form);
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let wants = |kind: &str| accept.is_some_and(|accept| accept.contains(kind));
    Ok(match follow {
        true if wants("text/plain") && !wants("text/event-stream") => Form::Text,
        true => Form::Events,
        false if wants("application/json") && !wants("text/plain") => Form::Json,
        false => Form::Text,
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let bad = || bad_request("`last-event-id` takes the id of an event of this stream");
    number.map(Some).ok_or_else(bad)
}

/// A piece of an answer, or the error that breaks it off.
pub(crate) type Piece = Result<Bytes, std::io::Error>;
