//! The admin REST API of a hub.
//!
//! [`router`] makes one `axum` router out of the hub's parts. Every route but those that `routes.rs` calls public wants the
//! bearer token, every answer but a success is a problem document, and a request for an unknown host name is refused, so
//! that a web page cannot reach the API through a DNS name it controls. `README.md` lists the routes.

#![allow(
    clippy::result_large_err,
    reason = "a `Problem` is made once a request, on the way out"
)]

mod convert;
mod follow;
mod frame;
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
mod routes;
mod sites;
mod triggers;
pub mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tripline_journal::{Journal, LogStore};
use tripline_listener::Bearer;
use tripline_model::{Clock, Dispatch, FunctionName};
use tripline_trigger::Triggers;

pub use hosts::{AllowedHosts, is_host};
pub use openapi::openapi;
pub use ports::Control;

/// The parts of a hub that the API shows and controls.
#[derive(Clone)]
pub struct ApiState {
    /// Accepts events.
    pub dispatch: Arc<dyn Dispatch>,
    /// Stops invocations and lists functions.
    pub control: Arc<dyn Control>,
    /// What is durable about invocations.
    pub journal: Arc<dyn Journal>,
    /// The logs of functions.
    pub logs: Arc<dyn LogStore>,
    /// Per function: limits this machine cannot enforce. Absent if all are.
    pub unmet: HashMap<FunctionName, String>,
    /// The triggers.
    pub triggers: Triggers,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Checks the token of callers.
    pub token: Bearer,
    /// The names under which it may be called.
    pub hosts: AllowedHosts,
    /// Largest body of a call, in bytes.
    pub max_event_bytes: usize,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Why the hub takes no events now, such as `starting` or `draining`; empty when it is ready. Shown to everybody. The
    /// API adds the state of the journal.
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
    /// Permits for streams that follow a log.
    followers: Arc<Semaphore>,
    /// When the router was made, in milliseconds; distinguishes the calls of one run from those of another.
    created_at: i64,
}

/// The admin API over `state`.
pub fn router(state: ApiState) -> Router {
    let created_at = state.clock.now().as_millis();
    let shared = Shared {
        followers: Arc::new(Semaphore::new(state.max_followers)),
        hub: Arc::new(state),
        calls: Arc::new(AtomicU64::new(0)),
        created_at,
    };
    let guard = from_fn_with_state(shared.clone(), guard::guard);
    let routes = routes::router()
        .fallback(refusal::no_such_route)
        .method_not_allowed_fallback(refusal::wrong_method)
        .with_state(shared);
    // Around the whole router: as a layer of the routes it could not keep the router from telling callers without a
    // token, by `Allow`, what there is.
    Router::new().fallback_service(routes).layer(guard)
}

#[cfg(test)]
mod tests;
