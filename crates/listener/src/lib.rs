//! The HTTP side of the hub: hardened [`Listener`]s, the [`Gateway`] whose routes are served while their triggers run,
//! and the [`Problem`]s they answer with.
//!
//! Nothing here knows what a trigger is. The binary opens two listeners (gateway and admin); it reserves the
//! triggers' routes on the gateway, and triggers mount their handlers there.

#![allow(
    clippy::result_large_err,
    reason = "a `Problem` is made once a request, on the way out"
)]

mod answer;
mod auth_throttle;
mod bearer;
mod bodies;
mod body;
mod connection_slots;
mod ended;
mod exchange;
mod gateway;

mod idempotency;

mod listener;
mod pace;

mod problem;
mod raw_responses;
mod route;
mod serve;
mod tls;
mod trace;

pub use answer::AnswerRoom;
pub use bearer::{AuthError, Bearer};
pub use bodies::Share;
pub use body::{read_body, refuse_content_encoding};
pub use gateway::{Gateway, GatewayHandler, Mount, RouteRefused};
pub use idempotency::idempotency_key;
pub use listener::{ListenError, Listener, ListenerLimits};
pub use problem::{Acceptance, Problem};
pub use route::{InvalidRoute, Route};
pub use tls::TlsFiles;
pub use trace::keep_trace;
