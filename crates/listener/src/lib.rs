//! HTTP doors: hardened [`Listener`]s, the [`Gateway`] whose routes come and go with the triggers, and the
//! [`Problem`]s they answer with.
//!
//! Nothing here knows what a trigger is. The binary opens two listeners (gateway and admin); triggers mount routes
//! on the gateway.

mod bearer;
mod body;
mod gateway;
mod listener;
mod pace;
mod problem;
mod route;
mod serve;
mod tls;

pub use bearer::Bearer;
pub use body::read_body;
pub use gateway::{Gateway, GatewayHandler, Mount, RouteTaken};
pub use listener::{ListenError, Listener, ListenerLimits};
pub use problem::{Accepted, Problem};
pub use route::{InvalidRoute, Route};
pub use tls::TlsFiles;
