//! `/v1/functions`: what can be run.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use tripline_listener::Problem;
use tripline_model::FunctionName;

use crate::openapi::{Missing, Named, Usual};
use crate::refusal::{Segment, named};
use crate::wire::{FunctionView, FunctionsView};
use crate::{Shared, convert};

const UNKNOWN: (&str, &str) = ("unknown_function", "there is no such function");

/// `GET /v1/functions`.
#[utoipa::path(
    get,
    path = "/v1/functions",
    operation_id = "list_functions",
    tag = "functions",
    summary = "All functions",
    description = "With what is queued and running.",
    responses(Usual, (status = 200, body = FunctionsView, description = "The functions"))
)]
pub(crate) async fn list(State(shared): State<Shared>) -> Json<FunctionsView> {
    let functions = shared.hub.control.functions();
    let unmet = &shared.hub.unmet;
    let functions = functions
        .iter()
        .map(|status| convert::function(status, unmet))
        .collect();
    Json(FunctionsView { functions })
}

/// `GET /v1/functions/{name}`.
#[utoipa::path(
    get,
    path = "/v1/functions/{name}",
    operation_id = "show_function",
    tag = "functions",
    summary = "One function",
    description = "With its bounds, and what is queued and running.",
    params(Named),
    responses(Usual, Missing, (status = 200, body = FunctionView, description = "The function"))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    segment: Segment,
) -> Result<Json<FunctionView>, Problem> {
    let name = name(segment)?;
    let functions = shared.hub.control.functions();
    let found = functions.iter().find(|status| status.function.name == name);
    found
        .map(|status| Json(convert::function(status, &shared.hub.unmet)))
        .ok_or_else(|| unknown(&name))
}

/// The function's name in a path.
pub(crate) fn name(segment: Segment) -> Result<FunctionName, Problem> {
    named(segment, UNKNOWN.0, UNKNOWN.1)
}

/// 404 for a function that the hub does not have.
pub(crate) fn unknown(name: &FunctionName) -> Problem {
    let detail = format!("there is no function `{name}`");
    Problem::new(StatusCode::NOT_FOUND, UNKNOWN.0, UNKNOWN.1).detail(detail)
}
