//! Every route of the API in one list, each with who may call it. The router and the guard are made out of the list, and
//! so are the tests that try every route with every credential: there is no route without a class.

use axum::Router;
use axum::routing::{MethodFilter, on};
use http::Method;

use crate::{Shared, functions, health, invocations, invoke, logs, openapi, triggers};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Everybody who reaches the listener: such a route shows whether the process is alive and takes events, and nothing
    /// else.
    Public,
    /// Who has the admin token.
    Token,
}

/// A method, a path pattern, and who may call it.
#[derive(Debug)]
pub(crate) struct AdminRoute {
    pub(crate) class: Class,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
}

macro_rules! routes {
    ($($class:ident $method:ident $path:literal $handler:path;)+) => {
        /// The list.
        pub(crate) const ROUTES: &[AdminRoute] = &[$(AdminRoute {
            class: Class::$class,
            method: Method::$method,
            path: $path,
        }),+];

        /// A router with exactly these routes.
        pub(crate) fn router() -> Router<Shared> {
            Router::new()$(.route($path, on(MethodFilter::$method, $handler)))+
        }
    };
}

routes! {
    Public GET "/healthz" health::healthz;
    Public GET "/readyz" health::readyz;
    Token GET "/metrics" health::metrics;
    Token GET "/openapi.json" openapi::show;
    Token GET "/v1/functions" functions::list;
    Token GET "/v1/functions/{name}" functions::show;
    Token POST "/v1/functions/{name}/invocations" invoke::invoke;
    Token GET "/v1/invocations" invocations::list;
    Token GET "/v1/invocations/{id}" invocations::show;
    Token GET "/v1/invocations/{id}/result" invocations::result;
    Token POST "/v1/invocations/{id}/terminate" invocations::terminate;
    Token GET "/v1/invocations/{id}/logs" logs::logs;
    Token GET "/v1/triggers" triggers::list;
    Token GET "/v1/triggers/{name}" triggers::show;
    Token POST "/v1/triggers/{name}/pause" triggers::pause;
    Token POST "/v1/triggers/{name}/resume" triggers::resume;
}

// A public path is compared byte by byte: one with a parameter could match paths that nobody thought of.
const _: () = {
    let mut at = 0;
    while at < ROUTES.len() {
        let is_exact = !has_parameter(ROUTES[at].path.as_bytes());
        assert!(is_exact || matches!(ROUTES[at].class, Class::Token));
        at += 1;
    }
};

const fn has_parameter(path: &[u8]) -> bool {
    let mut at = 0;
    while at < path.len() {
        if path[at] == b'{' {
            return true;
        }
        at += 1;
    }
    false
}

/// Who may send this request. What is not in the list needs the token, too, so that callers without it do not learn which
/// routes there are.
pub(crate) fn class(method: &Method, path: &str) -> Class {
    // `HEAD` is answered wherever `GET` is.
    let asked = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let is_this = |route: &&AdminRoute| route.method == *asked && route.path == path;
    let public = ROUTES
        .iter()
        .filter(|route| route.class == Class::Public)
        .find(is_this);
    public.map_or(Class::Token, |route| route.class)
}
