//! What callers get.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tripline_listener::{Acceptance, AnswerRoom, Problem};
use tripline_model::{End, Ending, Invocation, RequestId};

/// The header that carries the receipt.
const REQUEST_ID: HeaderName = HeaderName::from_static("tripline-request-id");

/// The header that says that the receipt is an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The header that says that the result was longer than is kept.
const RESULT_CUT: HeaderName = HeaderName::from_static("tripline-result-cut");

/// An event on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipted {
    /// Its receipt.
    pub(crate) request_id: RequestId,
    /// It was accepted earlier, for the same key.
    pub(crate) is_replay: bool,
}

/// A refusal before anything was offered.
pub(crate) fn refused(
    status: StatusCode,
    kind: &'static str,
    title: &str,
    detail: impl Into<String>,
) -> Problem {
    Problem::new(status, kind, title)
        .detail(detail)
        .accepted(Acceptance::No)
}

// === impl Receipted ===

impl Receipted {
    /// The answer of an asynchronous function: the receipt.
    pub(crate) fn accepted(self) -> Response {
        let id = self.request_id;
        let body = format!("{{\"request_id\":\"{id}\"}}");
        let mut response = (StatusCode::ACCEPTED, body).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        self.marked(response)
    }

    /// The answer of a synchronous function: its result, or how it ended instead.
    pub(crate) fn ended(self, invocation: Option<Invocation>, room: AnswerRoom) -> Response {
        let ending = invocation.and_then(|invocation| invocation.ending);
        let response = match ending {
            None => {
                let title = "how it ended is no longer kept";
                Problem::new(StatusCode::GONE, "no_longer_kept", title)
                    .request_id(self.request_id)
                    .into_response()
            }
            Some(ending) if ending.end == End::Succeeded => result(self.request_id, ending, room),
            Some(ending) => Problem::ended(self.request_id, &ending).into_response(),
        };
        self.marked(response)
    }

    /// The answer of a synchronous function that outlives the hub.
    pub(crate) fn not_waited_for(self) -> Response {
        let problem = Problem::not_waited_for(self.request_id);
        self.marked(problem.into_response())
    }

    fn marked(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(self.request_id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        if self.is_replay {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

fn result(id: RequestId, ending: Ending, room: AnswerRoom) -> Response {
    let bytes = ending.result.unwrap_or_default();
    let kind = match std::str::from_utf8(&bytes) {
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    };
    let body = match room.body(bytes) {
        Ok(body) => body,
        Err(problem) => return problem.request_id(id).into_response(),
    };
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // A function's output may hold what an untrusted caller sent: no browser is to take it for a page.
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if ending.result_cut {
        headers.insert(RESULT_CUT, HeaderValue::from_static("true"));
    }
    response
}
