//! The admin REST API of a hub.
//!
//! [`router`] makes one `axum` router out of the hub's parts. Every route but `/healthz` and `/readyz` wants the bearer
//! token, every answer but a success is a problem document, and a request for an unknown host name is refused, so
//! that a web page cannot reach the API through a DNS name it controls. `README.md` lists the routes.

#![allow(
    clippy::result_large_err,
    reason = "a `Problem` is made once a request, on the way out"
)]

mod convert;
mod follow;
mod functions;
mod guard;
mod health;
mod hosts;
mod invocations;
mod invoke;
mod logs;
mod openapi;
mod params;
mod ports;
mod refusal;
mod triggers;
pub mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tripline_journal::{Journal, LogStore};
use tripline_listener::Bearer;
use tripline_model::{Clock, Dispatch, FunctionName};
use tripline_trigger::Triggers;

pub use hosts::AllowedHosts;
pub use openapi::openapi;
pub use ports::Control;

/// The parts of a hub that the API shows and moves.
#[derive(Clone)]
pub struct ApiState {
    /// Takes events in.
    pub dispatch: Arc<dyn Dispatch>,
    /// Stops invocations and tells of functions.
    pub control: Arc<dyn Control>,
    /// What is durable about invocations.
    pub journal: Arc<dyn Journal>,
    /// What functions said.
    pub logs: Arc<dyn LogStore>,
    /// What of a function's bounds this machine cannot enforce, in a sentence; nothing for most.
    pub unmet: HashMap<FunctionName, String>,
    /// The triggers.
    pub triggers: Triggers,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Who may speak to the API.
    pub token: Bearer,
    /// The names under which it may be called.
    pub hosts: AllowedHosts,
    /// Largest body of a call, in bytes.
    pub max_event_bytes: usize,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Why the hub takes no events now, in words such as `starting` or `draining`; empty when it is ready. Shown to
    /// everybody. What the journal says of itself is added here.
    pub not_ready: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// Streams that follow a log at the same time, at most; there must be connections left for everything else.
    pub max_followers: usize,
    /// Cancelled when the hub stops: open log streams end, so that they do not hold it up.
    pub closing: CancellationToken,
}

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    hub: Arc<ApiState>,
    /// Numbers the calls of this run, for the `id` of their events.
    calls: Arc<AtomicU64>,
    /// Places for streams that follow a log.
    followers: Arc<Semaphore>,
    /// When the router was made, in milliseconds; tells the calls of one run from those of another.
    born: i64,
}

/// The admin API over `state`.
pub fn router(state: ApiState) -> Router {
    let born = state.clock.now().as_millis();
    let shared = Shared {
        followers: Arc::new(Semaphore::new(state.max_followers)),
        hub: Arc::new(state),
        calls: Arc::new(AtomicU64::new(0)),
        born,
    };
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::show))
        .route("/v1/functions", get(functions::list))
        .route("/v1/functions/{name}", get(functions::show))
        .route("/v1/functions/{name}/invocations", post(invoke::invoke))
        .route("/v1/invocations", get(invocations::list))
        .route("/v1/invocations/{id}", get(invocations::show))
        .route("/v1/invocations/{id}/result", get(invocations::result))
        .route(
            "/v1/invocations/{id}/terminate",
            post(invocations::terminate),
        )
        .route("/v1/invocations/{id}/logs", get(logs::logs))
        .route("/v1/triggers", get(triggers::list))
        .route("/v1/triggers/{name}", get(triggers::show))
        .route("/v1/triggers/{name}/pause", post(triggers::pause))
        .route("/v1/triggers/{name}/resume", post(triggers::resume))
        .fallback(refusal::no_such_route)
        .method_not_allowed_fallback(refusal::wrong_method)
        // Outermost, so that no route, known or not, is reached around it.
        .layer(from_fn_with_state(shared.clone(), guard::guard))
        .with_state(shared)
}

#[cfg(test)]
mod tests;
