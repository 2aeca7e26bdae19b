//! Routes whose handlers come and go while the gateway serves.

mod shadows;
mod table;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use tripline_model::Rejected;

use crate::{Acceptance, Problem, Route};
use table::{Found, Table};

/// Answers the requests of one route.
#[async_trait]
pub trait GatewayHandler: Send + Sync + 'static {
    /// Answers `request`. `params` are the path's parameters in the order of the pattern, percent-decoded once:
    /// `%2F` became `/` here, so never use one as a path without a check.
    async fn handle(&self, params: Vec<(String, String)>, request: Request) -> Response;
}

/// The public listener's routes. Clones share them.
///
/// A route is reserved once, for the gateway's life, and has a handler only while one is mounted. Without a handler its
/// callers get 503. If the route were removed instead, a broader one would get events that were not meant for it, and
/// with its own, perhaps weaker, authentication.
#[derive(Clone, Default)]
pub struct Gateway {
    shared: Arc<RwLock<Shared>>,
}

/// A mounted handler. Dropping it removes the handler and leaves the route; requests in flight still finish.
pub struct Mount {
    gateway: Gateway,
    route: Route,
}

/// The route cannot be reserved, or nothing be mounted on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the route `{route}` cannot be had: {reason}")]
pub struct RouteRefused {
    /// The route that was asked for.
    pub route: Route,
    /// What stands in the way.
    pub reason: String,
    /// The route that does, if it is one.
    pub other: Option<Route>,
}

/// What helps in every case.
const ANOTHER: &str = "give one of them another path or method";
/// What helps where no request need be for both, and the router holds only one.
const APART: &str = "give one of them another method, or plain text as a segment of its own before the parameter, as in \
                     `/p/{name}`";

/// What stands in the way of a route.
enum Obstacle {
    /// A route that the router cannot hold beside it: some requests may be for both, but need not.
    Route(Route),
    /// A route that would take some of its requests and not answer them.
    Shadow(Route),
    /// The router's error, if it is not about one other route.
    Router(String),
}

#[derive(Default)]
struct Shared {
    draining: bool,
    table: Table,
}

// === impl Gateway ===

impl Gateway {
    /// A gateway without routes: every path is 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// The gateway as an app for a [`crate::Listener`].
    ///
    /// A path without a route gets 404; one that has routes for other methods only, 405 and `Allow`; a route without a
    /// handler, 503 and `Retry-After`. `OPTIONS` lists the methods, and `HEAD` on a `GET` route shows that it exists.
    /// Neither calls a handler, since that would start a function.
    pub fn router(&self) -> Router {
        let gateway = self.clone();
        Router::new().fallback(move |request: Request| async move { gateway.answer(request).await })
    }

    /// The hub is stopping: from now on every request is answered with 503.
    pub fn drain(&self) {
        self.change(|shared| shared.draining = true);
    }

    /// Adds `route` for the gateway's life. A route that was added before is left as it is.
    ///
    /// # Errors
    /// Some requests would match another route, too, or the pattern is malformed.
    pub fn reserve(&self, route: &Route) -> Result<(), RouteRefused> {
        let refused = self.reserve_all(std::slice::from_ref(route));
        refused
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, why)| Err(why))
    }

    /// Adds all `routes`, whatever their order: if they were added one by one, the router would refuse some that can
    /// coexist.
    ///
    /// Returns what was refused, with the index in `routes`. Do not serve a gateway that refused something.
    pub fn reserve_all(&self, routes: &[Route]) -> Vec<(usize, RouteRefused)> {
        let refused = self.change(|shared| shared.table.reserve(routes));
        let refused = refused.into_iter();
        refused
            .map(|(at, obstacle)| (at, obstacle.of(&routes[at])))
            .collect()
    }

    /// Lets `handler` answer a reserved `route` for as long as the returned guard lives.
    ///
    /// # Errors
    /// The route was never reserved, or another handler is mounted on it.
    pub fn mount(
        &self,
        route: &Route,
        handler: Arc<dyn GatewayHandler>,
    ) -> Result<Mount, RouteRefused> {
        let mounted = self.change(|shared| shared.table.mount(route, handler));
        mounted.map_err(|reason| RouteRefused {
            route: route.clone(),
            reason: reason.to_owned(),
            other: None,
        })?;
        let (gateway, route) = (self.clone(), route.clone());
        Ok(Mount { gateway, route })
    }

    /// Whether `route` has a handler.
    pub fn is_mounted(&self, route: &Route) -> bool {
        self.look(|shared| shared.table.is_mounted(route))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        change(&mut self.shared.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn look<T>(&self, look: impl FnOnce(&Shared) -> T) -> T {
        look(&self.shared.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(&self, request: Request) -> Response {
        let (method, path) = (request.method(), request.uri().path());
        let found = self.look(|shared| match shared.draining {
            true => None,
            false => Some(shared.table.find(method, path)),
        });
        let others = match found {
            Some(Found::Handler(handler, params)) => return handler.handle(params, request).await,
            Some(Found::NoHandler) => return Problem::not_served().into_response(),
            Some(Found::NotText) => return not_text(),
            Some(Found::Others(others)) => others,
            None => return Problem::from(Rejected::Draining).into_response(),
        };
        let whole_hub = path == "*" && *method == Method::OPTIONS;
        if others.is_empty() && !whole_hub {
            return no_route();
        }
        let runs_nothing = *method == Method::OPTIONS || *method == Method::HEAD;
        if whole_hub || (runs_nothing && others.contains(method.as_str())) {
            return no_content(&allow(others));
        }
        let title = "this path has other methods";
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", title);
        let allow = Some(allow(others));
        Problem { allow, ..problem }
            .accepted(Acceptance::No)
            .into_response()
    }
}

fn allow(methods: BTreeSet<String>) -> String {
    methods.into_iter().collect::<Vec<_>>().join(", ")
}

fn no_content(allow: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn no_route() -> Response {
    let title = "nothing listens at this path";
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", title)
        .accepted(Acceptance::No)
        .into_response()
}

fn not_text() -> Response {
    let title = "a part of the path is not UTF-8";
    Problem::new(StatusCode::BAD_REQUEST, "path_not_text", title)
        .accepted(Acceptance::No)
        .into_response()
}

// === impl RouteRefused ===

impl RouteRefused {
    /// What can be done about it.
    pub fn help(&self) -> &'static str {
        match &self.other {
            Some(other) if !other.equals(&self.route) && other.conflicts(&self.route) => APART,
            _ => ANOTHER,
        }
    }

    /// `other` takes the same requests.
    pub fn taken(route: Route, other: Route) -> Self {
        Self {
            route,
            reason: format!("it takes the same requests as `{other}`"),
            other: Some(other),
        }
    }
}

// === impl Obstacle ===

impl Obstacle {
    /// Why `route` cannot be had.
    fn of(self, route: &Route) -> RouteRefused {
        let route = route.clone();
        let (reason, other) = match self {
            Self::Route(other) if other.equals(&route) => return RouteRefused::taken(route, other),
            Self::Route(other) => (
                format!("the router cannot hold it beside `{other}`"),
                Some(other),
            ),
            Self::Shadow(other) => (
                format!("some of its requests would be lost at `{other}`"),
                Some(other),
            ),
            Self::Router(error) => (error, None),
        };
        RouteRefused {
            route,
            reason,
            other,
        }
    }
}

// === impl Mount ===

impl Drop for Mount {
    fn drop(&mut self) {
        let handler = self
            .gateway
            .change(|shared| shared.table.unmount(&self.route));
        // Not under the lock: dropping it may run any code.
        drop(handler);
    }
}

#[cfg(test)]
mod tests;
