//! `/v1/triggers`: where events come from.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use tripline_listener::Problem;
use tripline_model::TriggerName;
use tripline_trigger::UnknownTrigger;

use crate::openapi::{Missing, Named, Usual};
use crate::refusal::{Segment, named};
use crate::wire::{TriggerView, TriggersView};
use crate::{Shared, convert};

const UNKNOWN: (&str, &str) = ("unknown_trigger", "there is no such trigger");

/// `GET /v1/triggers`.
#[utoipa::path(
    get,
    path = "/v1/triggers",
    operation_id = "list_triggers",
    tag = "triggers",
    summary = "All triggers",
    description = "With their state and facts.",
    responses(Usual, (status = 200, body = TriggersView, description = "The triggers"))
)]
pub(crate) async fn list(State(shared): State<Shared>) -> Json<TriggersView> {
    let triggers = shared.hub.triggers.list();
    let triggers = triggers.iter().map(convert::trigger).collect();
    Json(TriggersView { triggers })
}

/// `GET /v1/triggers/{name}`.
#[utoipa::path(
    get,
    path = "/v1/triggers/{name}",
    operation_id = "show_trigger",
    tag = "triggers",
    summary = "One trigger",
    description = "With its state and facts.",
    params(Named),
    responses(Usual, Missing, (status = 200, body = TriggerView, description = "The trigger"))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    segment: Segment,
) -> Result<Json<TriggerView>, Problem> {
    let name = name(segment)?;
    let status = shared.hub.triggers.get(&name);
    let status = status.ok_or_else(|| unknown(UnknownTrigger(name)))?;
    Ok(Json(convert::trigger(&status)))
}

/// `POST /v1/triggers/{name}/pause`: answers when nothing of it runs any more.
#[utoipa::path(
    post,
    path = "/v1/triggers/{name}/pause",
    operation_id = "pause_trigger",
    tag = "triggers",
    summary = "Pause a trigger",
    description = "Answers when nothing of it runs any more. It stays paused until it is resumed, or the \
        hub is started again.",
    params(Named),
    responses(
        Usual,
        Missing,
        (status = 200, body = TriggerView, description = "The trigger's state after it")
    )
)]
pub(crate) async fn pause(
    State(shared): State<Shared>,
    segment: Segment,
) -> Result<Json<TriggerView>, Problem> {
    let status = shared.hub.triggers.pause(&name(segment)?).await;
    Ok(Json(convert::trigger(&status.map_err(unknown)?)))
}

/// `POST /v1/triggers/{name}/resume`.
#[utoipa::path(
    post,
    path = "/v1/triggers/{name}/resume",
    operation_id = "resume_trigger",
    tag = "triggers",
    summary = "Resume a trigger",
    description = "Takes events from it again.",
    params(Named),
    responses(
        Usual,
        Missing,
        (status = 200, body = TriggerView, description = "The trigger's state after it")
    )
)]
pub(crate) async fn resume(
    State(shared): State<Shared>,
    segment: Segment,
) -> Result<Json<TriggerView>, Problem> {
    let status = shared.hub.triggers.resume(&name(segment)?).await;
    Ok(Json(convert::trigger(&status.map_err(unknown)?)))
}

fn name(segment: Segment) -> Result<TriggerName, Problem> {
    named(segment, UNKNOWN.0, UNKNOWN.1)
}

fn unknown(error: UnknownTrigger) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, UNKNOWN.0, UNKNOWN.1).detail(error.to_string())
}
