//! The refusals that handlers share, and reading what a path names.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use http::{Method, StatusCode};
use tripline_journal::{JournalError, LogError};
use tripline_listener::{Acceptance, Problem};
use tripline_model::RequestId;

/// A path's single parameter as it arrives: percent-decoded, or not decodable.
pub(crate) type Segment = Result<Path<String>, PathRejection>;

/// The id in a path, in capitals too: RFC 9562 wants a UUID to be read so. It is said again in small letters only, for
/// elsewhere (names of files, messages to executors) an id has one spelling. What is no id names no invocation: 404.
pub(crate) fn request_id(segment: Segment) -> Result<RequestId, Problem> {
    let segment = segment.map(|Path(text)| Path(text.to_ascii_lowercase()));
    named(segment, "unknown_invocation", "there is no such invocation")
}

/// The name or id in a path; what cannot be one names nothing: 404 with `kind` and `title`.
pub(crate) fn named<T: FromStr<Err: Display>>(
    segment: Segment,
    kind: &'static str,
    title: &str,
) -> Result<T, Problem> {
    let not_found = || Problem::new(StatusCode::NOT_FOUND, kind, title);
    let Path(text) = segment.map_err(|_| not_found().detail("the path is not valid UTF-8"))?;
    text.parse()
        .map_err(|error: T::Err| not_found().detail(error.to_string()))
}

/// 404 for an id that the journal does not hold.
pub(crate) fn unknown_invocation(id: RequestId) -> Problem {
    let title = "there is no such invocation";
    let detail = "this hub never gave out this RequestId, or the record was removed after its time";
    Problem::new(StatusCode::NOT_FOUND, "unknown_invocation", title)
        .detail(detail)
        .request_id(id)
}

/// 400 for a part of a request that cannot be understood.
pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
    let title = "the request cannot be understood";
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", title).detail(detail)
}

/// 500 for a record that the disk changed, 503 for a journal that cannot be read. What exactly is wrong there is for the
/// hub's own log.
pub(crate) fn journal_failed(error: &JournalError) -> Problem {
    tracing::error!(error = %error, "the journal could not be used for an API request");
    if let JournalError::Damaged(id) = error {
        let title = "the record was changed on the disk";
        let detail = "if it waits, it is not run, and ends as `cancelled` when its turn comes; `tripline journal check` says \
                      more with the hub stopped";
        let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", title);
        return problem.detail(detail).request_id(*id);
    }
    let title = "the journal is not available";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title)
}

/// 503 for logs that cannot be read.
pub(crate) fn logs_failed(error: &LogError) -> Problem {
    tracing::error!(error = %error, "the log store could not be used for an API request");
    let title = "the logs are not available";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title)
}

/// Adds that nothing was accepted, if the request may have been meant to offer an event.
pub(crate) fn nothing_accepted(method: &Method, problem: Problem) -> Problem {
    match *method {
        Method::POST => problem.accepted(Acceptance::No),
        _ => problem,
    }
}

/// 404 for a path that is no route.
pub(crate) async fn no_such_route(method: Method) -> Problem {
    let title = "there is nothing at this path";
    let problem = Problem::new(StatusCode::NOT_FOUND, "unknown_route", title);
    nothing_accepted(&method, problem)
}

/// 405 for a route that has other methods; `axum` adds `Allow`.
pub(crate) async fn wrong_method(method: Method) -> Problem {
    let title = "this path does not take this method";
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", title);
    nothing_accepted(&method, problem)
}
