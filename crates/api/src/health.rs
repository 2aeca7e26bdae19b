//! Is the process alive, does it take events, and its metrics.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;
use tripline_journal::Health;
use tripline_listener::Problem;

use crate::Shared;
use crate::openapi::{Misdirected, StatusView, Unavailable, Usual};

/// `GET /healthz`: the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "state",
    security(()),
    summary = "Is the process alive",
    description = "Needs no token.",
    responses(Misdirected, (status = 200, body = StatusView, description = "It is"))
)]
pub(crate) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// `GET /readyz`: the hub takes events, or why not.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "state",
    security(()),
    summary = "Does the hub take events",
    description = "Needs no token. 503 says why it takes none, such as `draining`.",
    responses(
        Misdirected,
        Unavailable,
        (status = 200, body = StatusView, description = "It does")
    )
)]
pub(crate) async fn readyz(State(shared): State<Shared>) -> Response {
    let mut reasons = (shared.hub.not_ready)();
    match shared.hub.journal.health() {
        Health::Ok => {}
        Health::Full => reasons.push("storage_full"),
        // Without the error itself: this route needs no token.
        Health::Poisoned(_) => reasons.push("journal_failed"),
    }
    if reasons.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    let title = "the hub takes no events now";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", title)
        .detail(reasons.join(", "))
        .into_response()
}

/// `GET /metrics`: the metrics, in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "state",
    summary = "The metrics",
    description = "In Prometheus' text format.",
    responses(
        Usual,
        (
            status = 200,
            content_type = "text/plain; version=0.0.4; charset=utf-8",
            body = String,
            description = "The metrics"
        )
    )
)]
pub(crate) async fn metrics(State(shared): State<Shared>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], (shared.hub.metrics)()).into_response()
}
