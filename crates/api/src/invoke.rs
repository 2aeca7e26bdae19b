//! `POST /v1/functions/{name}/invocations`: calls a function.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use tripline_listener::{
    Acceptance, AnswerRoom, Problem, idempotency_key, keep_trace, read_body,
    refuse_content_encoding,
};
use tripline_model::{
    End, Event, Execution, FunctionName, Identity, Offer, Receipt, Rejected, RequestId, Stopping,
};

use crate::invocations::result_response;
use crate::openapi::{Blob, Calling, Missing, Named, Refused, TooLarge, Unclear, Usual};
use crate::refusal::{Segment, bad_request, unknown_invocation};
use crate::wire::ReceiptView;
use crate::{ApiState, Shared, functions};

/// The longest time a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an idempotency key is remembered.
const KEY_WINDOW: Duration = Duration::from_secs(24 * 3600);
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("tripline-request-id");

/// Offers the body as an event: the receipt for an async function, the result for a sync one.
#[utoipa::path(
    post,
    path = "/v1/functions/{name}/invocations",
    operation_id = "call_function",
    tag = "functions",
    summary = "Call a function",
    description = "The body is the event's data; its content type is kept. An async function answers with a \
        receipt once the event is safe on disk, a sync one with what it wrote to stdout.",
    params(Named, Calling),
    request_body(content = Blob, content_type = "*/*"),
    responses(
        Usual,
        Unclear,
        Missing,
        TooLarge,
        Refused,
        (
            status = 202,
            body = ReceiptView,
            headers(
                ("location" = String, description = "Where the invocation is shown"),
                ("tripline-request-id" = String, description = "The receipt")
            ),
            links(
                (
                    "show" = (operation_id = "show_invocation", parameters(("id" = "$response.body#/request_id")))
                ),
                (
                    "log" = (operation_id = "read_log", parameters(("id" = "$response.body#/request_id")))
                ),
                (
                    "result" = (operation_id = "read_result", parameters(("id" = "$response.body#/request_id")))
                ),
                (
                    "stop" = (operation_id = "terminate_invocation", parameters(("id" = "$response.body#/request_id")))
                )
            ),
            description = "An async function: the event is on disk"
        ),
        (
            status = 200,
            body = Blob,
            content_type = "application/octet-stream",
            headers(("tripline-request-id" = String, description = "The receipt")),
            description = "A sync function: its result"
        )
    )
)]
pub(crate) async fn invoke(
    State(shared): State<Shared>,
    segment: Segment,
    request: Request,
) -> Result<Response, Problem> {
    let hub = &shared.hub;
    let name = functions::name(segment).map_err(not_accepted)?;
    let Some(function) = hub.dispatch.function(&name) else {
        return Err(Rejected::UnknownFunction(name).into());
    };
    let (parts, body) = request.into_parts();
    refuse_content_encoding(&parts.headers)?;
    let content_type = text_header(&parts.headers, header::CONTENT_TYPE)?;
    let key = idempotency_key(&parts.headers)?;
    let (body, share) = read_body(&parts, body, hub.max_event_bytes, BODY_TIMEOUT).await?;
    let identity = identity(key, &name, content_type.as_deref(), &body);
    let mut event = event(&shared, &name, content_type, body);
    keep_trace(&mut event, &parts.headers);
    let offer = Offer {
        identity,
        event,
        function: name,
        trigger: None,
        cursors: Vec::new(),
    };
    let receipt = hub.dispatch.try_dispatch(offer).await?;
    // On disk: what follows may take as long as the function.
    drop(share);
    let room = AnswerRoom::of(&parts.extensions);
    let id = receipt.request_id().ok_or(Rejected::Unknown)?;
    let mut response = match function.execution {
        Execution::Async => receipt_response(id),
        Execution::Sync => result_of(hub, id, room)
            .await
            .unwrap_or_else(IntoResponse::into_response),
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id_value(id));
    if matches!(receipt, Receipt::Known(_)) {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn receipt_response(id: RequestId) -> Response {
    let location = format!("/v1/invocations/{id}");
    let view = ReceiptView {
        request_id: id.to_string(),
    };
    (
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        Json(view),
    )
        .into_response()
}

fn id_value(id: RequestId) -> HeaderValue {
    HeaderValue::try_from(id.to_string()).expect("a UUID is made of hex digits and dashes")
}

/// Waits for the end of a sync function's run. Whoever gives up waiting finds the result under its RequestId.
async fn result_of(hub: &ApiState, id: RequestId, room: AnswerRoom) -> Result<Response, Problem> {
    let ended = hub
        .dispatch
        .ended(id)
        .await
        .map_err(|Stopping| Problem::not_waited_for(id))?
        .ok_or_else(|| unknown_invocation(id))?;
    let ending = ended.ending.ok_or_else(|| unknown_invocation(id))?;
    if ending.end != End::Succeeded {
        return Err(Problem::ended(id, &ending));
    }
    let (result, cut) = match ending.result {
        Some(result) => (Some(result), ending.result_cut),
        None => {
            let kept = crate::invocations::find(hub, id).await?.ending;
            kept.map_or((None, false), |kept| (kept.result, kept.result_cut))
        }
    };
    let body = room.body(result.unwrap_or_default());
    let body = body.map_err(|problem| problem.request_id(id))?;
    Ok(result_response(body, cut))
}

fn event(shared: &Shared, name: &FunctionName, content_type: Option<String>, data: Bytes) -> Event {
    let number = shared.calls.fetch_add(1, Ordering::Relaxed);
    Event {
        id: format!("{:x}-{number}", shared.created_at),
        source: format!("/v1/functions/{name}"),
        kind: "tripline.api.call.v1".to_owned(),
        subject: None,
        time: shared.hub.clock.now(),
        content_type,
        data: Some(data),
        extensions: BTreeMap::new(),
    }
}

fn identity(key: Option<String>, name: &FunctionName, kind: Option<&str>, body: &[u8]) -> Identity {
    let Some(key) = key else {
        return Identity::Unique;
    };
    let mut digest = Sha256::new();
    let kind = kind.unwrap_or_default();
    // The length keeps the two apart, wherever the border between them is moved to.
    digest.update((kind.len() as u64).to_be_bytes());
    digest.update(kind);
    digest.update(body);
    Identity::Key {
        key: format!("{name}/{key}"),
        window: KEY_WINDOW,
        digest: Some(digest.finalize().into()),
    }
}

fn text_header(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let (value, more) = (values.next(), values.next());
    let text = value
        .map(|value| value.to_str().map(str::to_owned))
        .transpose();
    match (text, more) {
        (Ok(text), None) => Ok(text),
        _ => {
            let detail = format!("`{name}` is given once, in visible ASCII");
            Err(not_accepted(bad_request(detail)))
        }
    }
}

fn not_accepted(problem: Problem) -> Problem {
    problem.accepted(Acceptance::No)
}
