//! Routes that come and go while the gateway serves.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use tripline_model::Rejected;

use crate::{Acceptance, Problem, Route};

/// Answers the requests of one route.
#[async_trait]
pub trait GatewayHandler: Send + Sync + 'static {
    /// Answers `request`. `params` are the path's parameters in the order of the pattern, percent-decoded once:
    /// `%2F` became `/` here, so never use one as a path without a check.
    async fn handle(&self, params: Vec<(String, String)>, request: Request) -> Response;
}

/// The public listener's routes. Clones share them.
#[derive(Clone, Default)]
pub struct Gateway {
    shared: Arc<RwLock<Shared>>,
}

/// A mounted route; dropping it takes the route away. Requests in flight still finish.
pub struct Mount {
    gateway: Gateway,
    id: u64,
}

/// The route cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the route `{route}` cannot be mounted: {reason}")]
pub struct RouteTaken {
    /// The route that was asked for.
    pub route: Route,
    /// Which other route stands in the way.
    pub reason: String,
}

#[derive(Default)]
struct Shared {
    draining: bool,
    next_id: u64,
    mounted: HashMap<u64, Route>,
    table: Table,
}

/// One tree per method, so that `GET /{a}` and `POST /{b}` can live side by side.
type Table = HashMap<Method, matchit::Router<Arc<dyn GatewayHandler>>>;

/// What is to be done with a request.
enum Found {
    Handler(Arc<dyn GatewayHandler>, Vec<(String, String)>),
    /// A parameter does not decode to text.
    NotText,
    /// The hub is stopping.
    Draining,
    /// No handler; these methods have one for the same path, and some that come by themselves.
    Others(BTreeSet<String>),
}

// === impl Gateway ===

impl Gateway {
    /// A gateway without routes: every path is 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// The gateway as an app for a [`crate::Listener`].
    ///
    /// A path without a route is 404, with other methods' routes only 405 and `Allow`. `OPTIONS` says what there is;
    /// `HEAD` on a `GET` route says that it is there. Neither runs anything: a look must not start a function.
    pub fn router(&self) -> Router {
        let gateway = self.clone();
        Router::new().fallback(move |request: Request| async move { gateway.answer(request).await })
    }

    /// The hub is stopping: from now on every request is answered with 503, also on routes that are gone by then.
    /// Whoever calls a route that is unmounted in a drain must not be told that it never existed.
    pub fn drain(&self) {
        self.shared
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .draining = true;
    }

    /// Makes `handler` answer `route` for as long as the returned guard lives.
    ///
    /// # Errors
    /// Another route is mounted that the same requests would match, or the pattern is malformed.
    pub fn mount(
        &self,
        route: &Route,
        handler: Arc<dyn GatewayHandler>,
    ) -> Result<Mount, RouteTaken> {
        let taken = |reason| RouteTaken {
            route: route.clone(),
            reason,
        };
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let Shared { mounted, table, .. } = &mut *shared;
        let tree = table.entry(route.method.clone()).or_default();
        tree.insert(route.path.as_str(), handler).map_err(|error| {
            let other = mounted.values().find(|other| other.conflicts(route));
            taken(match other {
                Some(other) => format!("`{other}` is there already"),
                None => error.to_string(),
            })
        })?;
        let id = shared.next_id;
        shared.next_id += 1;
        shared.mounted.insert(id, route.clone());
        drop(shared);
        let gateway = self.clone();
        Ok(Mount { gateway, id })
    }

    fn unmount(&self, id: u64) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let Some(route) = shared.mounted.remove(&id) else {
            return;
        };
        let handler = shared
            .table
            .get_mut(&route.method)
            .and_then(|tree| tree.remove(route.path));
        // What the handler owns may do anything when it is dropped: not under the lock.
        drop(shared);
        drop(handler);
    }

    fn find(&self, method: &Method, path: &str) -> Found {
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        if shared.draining {
            return Found::Draining;
        }
        let tree = shared.table.get(method);
        let Some(matched) = tree.and_then(|tree| tree.at(path).ok()) else {
            return Found::Others(methods(&shared.table, path));
        };
        match decoded(matched.params.iter()) {
            Some(params) => Found::Handler(Arc::clone(matched.value), params),
            None => Found::NotText,
        }
    }

    async fn answer(&self, request: Request) -> Response {
        let (method, path) = (request.method(), request.uri().path());
        let others = match self.find(method, path) {
            Found::Handler(handler, params) => return handler.handle(params, request).await,
            Found::NotText => return not_text(),
            Found::Draining => return Problem::from(Rejected::Draining).into_response(),
            Found::Others(others) => others,
        };
        let whole_hub = path == "*" && *method == Method::OPTIONS;
        if others.is_empty() && !whole_hub {
            return no_route();
        }
        let a_look = *method == Method::OPTIONS || *method == Method::HEAD;
        if whole_hub || (a_look && others.contains(method.as_str())) {
            return just_there(&allow(others));
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

/// The methods that `path` answers, with those that come by themselves; empty if there is no such path.
fn methods(table: &Table, path: &str) -> BTreeSet<String> {
    let there = table.iter().filter(|(_, tree)| tree.at(path).is_ok());
    let mut methods: BTreeSet<String> = there.map(|(method, _)| method.to_string()).collect();
    if methods.contains("GET") {
        methods.insert("HEAD".to_owned());
    }
    if !methods.is_empty() {
        methods.insert("OPTIONS".to_owned());
    }
    methods
}

fn decoded<'a>(params: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Vec<(String, String)>> {
    params
        .map(|(name, value)| {
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some((name.to_owned(), value.into_owned()))
        })
        .collect()
}

fn just_there(allow: &str) -> Response {
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

// === impl Mount ===

impl Drop for Mount {
    fn drop(&mut self) {
        self.gateway.unmount(self.id);
    }
}

#[cfg(test)]
mod tests;
