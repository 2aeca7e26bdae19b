//! `/v1/invocations`: list, show, result, terminate.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, Uri, header};
use tripline_dispatcher::{TerminateError, TerminateOutcome};
use tripline_journal::Query;
use tripline_listener::{AnswerRoom, Problem, read_body};
use tripline_model::{FunctionName, Invocation, RequestId, TriggerName};

use crate::openapi::{
    Blob, Damaged, Filters, Identified, Missing, PROBLEM, ProblemView, TooLarge, Unavailable,
    Unclear, Usual,
};
use crate::params::Params;
use crate::refusal::{Segment, bad_request, journal_failed, request_id, unknown_invocation};
use crate::wire::{InvocationView, InvocationsView, TerminateBody, TerminateView};
use crate::{ApiState, Shared, convert};

const DEFAULT_PAGE: u64 = 50;
const MAX_PAGE: u64 = 1000;
/// Largest body of a stop request.
const MAX_TERMINATE_BYTES: usize = 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// `Retry-After` for a result for which there is no memory.
const RESULT_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The header of a result that was cut at its function's limit.
pub(crate) const RESULT_CUT: &str = "tripline-result-cut";

/// `GET /v1/invocations`.
#[utoipa::path(
    get,
    path = "/v1/invocations",
    operation_id = "list_invocations",
    tag = "invocations",
    summary = "List invocations",
    description = "Newest first, page by page. A page that is not the last one may have fewer invocations than \
        `limit`, even none.",
    params(Filters),
    responses(
        Usual,
        Unclear,
        Unavailable,
        (status = 200, body = InvocationsView, description = "A page")
    )
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    uri: Uri,
) -> Result<Json<InvocationsView>, Problem> {
    let query = query(&uri)?;
    let page = shared.hub.journal.list(&query).await;
    let page = page.map_err(|error| journal_failed(&error))?;
    Ok(Json(InvocationsView {
        invocations: page
            .invocations
            .iter()
            .map(|one| view(&shared.hub, one))
            .collect(),
        damaged: page.damaged.iter().map(ToString::to_string).collect(),
        next_cursor: page.next.map(|id| id.to_string()),
    }))
}

fn query(uri: &Uri) -> Result<Query, Problem> {
    let names = [
        "function", "trigger", "state", "since", "until", "limit", "cursor",
    ];
    let params = Params::read(uri, &names)?;
    let name = "a name out of a-z, 0-9, `-` and `_`";
    let limit = params.limit("limit", MAX_PAGE)?.unwrap_or(DEFAULT_PAGE);
    Ok(Query {
        function: params.get("function", name, |text| FunctionName::new(text).ok())?,
        trigger: params.get("trigger", name, |text| TriggerName::new(text).ok())?,
        state: params.state("state")?,
        since: params.moment("since")?,
        until: params.moment("until")?,
        before: params.get("cursor", "the next_cursor of another page", |text| {
            text.parse().ok()
        })?,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}

/// `GET /v1/invocations/{id}`.
#[utoipa::path(
    get,
    path = "/v1/invocations/{id}",
    operation_id = "show_invocation",
    tag = "invocations",
    summary = "One invocation",
    description = "404 if it was never known, or was removed after its time.",
    params(Identified),
    responses(
        Usual,
        Missing,
        Damaged,
        Unavailable,
        (status = 200, body = InvocationView, description = "The invocation")
    )
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    segment: Segment,
) -> Result<Json<InvocationView>, Problem> {
    let invocation = find(&shared.hub, request_id(segment)?).await?;
    Ok(Json(view(&shared.hub, &invocation)))
}

fn view(hub: &ApiState, invocation: &Invocation) -> InvocationView {
    let pending = hub.control.reclaim_pending(invocation.request_id);
    convert::invocation(invocation, pending)
}

/// The invocation, or why it cannot be shown.
pub(crate) async fn find(hub: &ApiState, id: RequestId) -> Result<Invocation, Problem> {
    let found = hub
        .journal
        .get(id)
        .await
        .map_err(|error| journal_failed(&error))?;
    found.ok_or_else(|| unknown_invocation(id))
}

/// `GET /v1/invocations/{id}/result`: the bytes that the function wrote, never to be shown by a browser.
#[utoipa::path(
    get,
    path = "/v1/invocations/{id}/result",
    operation_id = "read_result",
    tag = "invocations",
    summary = "The result of an invocation",
    description = "The bytes that the function wrote. 404 if there is none.",
    params(Identified),
    responses(
        Usual,
        Missing,
        Damaged,
        Unavailable,
        (
            status = 409,
            body = ProblemView,
            content_type = PROBLEM,
            description = "It has not ended"
        ),
        (
            status = 200,
            body = Blob,
            content_type = "application/octet-stream",
            headers(
                (
                    "tripline-result-cut" = String,
                    description = "`true` if the result was cut at the function's limit"
                )
            ),
            description = "The result"
        )
    )
)]
pub(crate) async fn result(
    State(shared): State<Shared>,
    segment: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let invocation = find(&shared.hub, request_id(segment)?).await?;
    let id = invocation.request_id;
    let Some(ending) = invocation.ending else {
        let title = "the invocation has not ended";
        let detail = format!("it is {}", invocation.state);
        let problem = Problem::new(StatusCode::CONFLICT, "not_ended", title);
        return Err(problem.detail(detail).request_id(id));
    };
    let Some(bytes) = ending.result else {
        let title = "the invocation has no result";
        let detail = format!("it ended as {}", ending.end.as_str());
        let problem = Problem::new(StatusCode::NOT_FOUND, "no_result", title);
        return Err(problem.detail(detail).request_id(id));
    };
    let body = AnswerRoom::of(request.extensions()).body(bytes);
    let body = body.map_err(|problem| Problem {
        retry_after: Some(RESULT_RETRY_AFTER),
        ..problem.request_id(id)
    })?;
    let mut response = result_response(body, ending.result_cut);
    let attachment = format!("attachment; filename=\"{id}.bin\"");
    if let Ok(attachment) = HeaderValue::try_from(attachment) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, attachment);
    }
    Ok(response)
}

/// Bytes of a function, marked where they were cut.
pub(crate) fn result_response(body: Body, cut: bool) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    let mut response = (kind, body).into_response();
    if cut {
        response
            .headers_mut()
            .insert(RESULT_CUT, HeaderValue::from_static("true"));
    }
    response
}

/// `POST /v1/invocations/{id}/terminate`.
#[utoipa::path(
    post,
    path = "/v1/invocations/{id}/terminate",
    operation_id = "terminate_invocation",
    tag = "invocations",
    summary = "Stop an invocation",
    description = "Kills it, or only asks it to stop (`grace`), or cancels it before its start.",
    params(Identified),
    request_body(content = TerminateBody, content_type = "application/json"),
    responses(
        Usual,
        Unclear,
        Missing,
        Damaged,
        TooLarge,
        Unavailable,
        (status = 409, body = ProblemView, content_type = PROBLEM, description = "It has ended"),
        (status = 200, body = TerminateView, description = "What was done")
    )
)]
pub(crate) async fn terminate(
    State(shared): State<Shared>,
    segment: Segment,
    request: Request,
) -> Result<Json<TerminateView>, Problem> {
    let id = request_id(segment)?;
    let (parts, body) = request.into_parts();
    let body = read_body(&parts, body, MAX_TERMINATE_BYTES, BODY_TIMEOUT).await;
    // No event was offered.
    let (body, _) = body.map_err(|problem| Problem {
        accepted: None,
        ..problem
    })?;
    let body = terminate_body(&body)?;
    let outcome = match shared.hub.control.terminate(id, body.grace).await {
        Ok(TerminateOutcome::Cancelled) => "cancelled",
        Ok(TerminateOutcome::Stopping) => "stopping",
        Err(TerminateError::NotFound(id)) => return Err(unknown_invocation(id)),
        Err(error @ TerminateError::AlreadyEnded { .. }) => {
            let title = "the invocation has already ended";
            let problem = Problem::new(StatusCode::CONFLICT, "already_ended", title);
            return Err(problem.detail(error.to_string()).request_id(id));
        }
        Err(TerminateError::Journal { source, .. }) => {
            return Err(journal_failed(&source).request_id(id));
        }
    };
    Ok(Json(TerminateView {
        request_id: id.to_string(),
        outcome,
    }))
}

fn terminate_body(body: &[u8]) -> Result<TerminateBody, Problem> {
    if body.is_empty() {
        return Ok(TerminateBody::default());
    }
    let bad = |_| bad_request("the body is empty or {\"grace\": true} or {\"grace\": false}");
    // By way of an object: a struct alone would also be read out of an array.
    let object: serde_json::Map<_, _> = serde_json::from_slice(body).map_err(bad)?;
    serde_json::from_value(object.into()).map_err(bad)
}
