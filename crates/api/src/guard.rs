//! Checks every request before its route: the host name, then the origin, then the token.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tripline_listener::Problem;

use crate::refusal::nothing_accepted;
use crate::routes::{Class, class};
use crate::{ApiState, Shared, sites};

/// Lets a request through, or answers it.
pub(crate) async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match refuse(&shared.hub, &request) {
        Some(problem) => nothing_accepted(request.method(), problem).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(hub: &ApiState, request: &Request) -> Option<Problem> {
    if !host_is_ours(hub, request) {
        let title = "this hub is not known by that host name";
        let detail =
            "call it as localhost, by its listen address, or by a name in `hosts` of [admin]";
        let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", title);
        return Some(problem.detail(detail));
    }
    if sites::is_of_another(request.headers()) {
        let title = "a web page of another site may not call the hub";
        let detail = "`Origin` or `Sec-Fetch-Site` says that a browser sent this for a page that is not the hub's own";
        return Some(Problem::new(StatusCode::FORBIDDEN, "other_site", title).detail(detail));
    }
    let is_open = class(request.method(), request.uri().path()) == Class::Public;
    if is_open {
        return None;
    }
    let error = hub
        .token
        .authenticate(request.headers(), request.extensions())
        .err()?;
    let title = "the token is missing or wrong";
    let detail = "send `Authorization: Bearer TOKEN`; the token is in the file admin.token of the data directory";
    Some(error.problem(title, detail))
}

fn host_is_ours(hub: &ApiState, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    // `GET http://name/ HTTP/1.1` names a host twice; neither may be unknown.
    let in_target = request.uri().authority();
    let target_is_ours = in_target.is_none_or(|name| hub.hosts.allows(name.as_str()));
    target_is_ours && host.to_str().is_ok_and(|host| hub.hosts.allows(host))
}
