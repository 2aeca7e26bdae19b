//! Errors as RFC 9457 `application/problem+json`, with what a sender must know: whether the event may still run.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tripline_model::{Rejected, RequestId};

/// `Retry-After` for callers of a route without a handler. A start takes a moment, a pause as long as somebody likes.
const NOT_SERVED_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Whether an event that got an error was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It was not, and will never run.
    No,
    /// Nobody knows: it may run.
    Unknown,
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A short identifier for machines; the response's `type` is `urn:tripline:KIND`.
    pub kind: &'static str,
    /// What this kind of error is, in a few words; the same for every answer of the kind.
    pub title: String,
    /// What is wrong this time; empty if the title suffices. Never a secret.
    pub detail: String,
    /// Whether the event was accepted; `None` where the request offered none.
    pub accepted: Option<Acceptance>,
    /// The invocation that the problem is about.
    pub request_id: Option<RequestId>,
    /// When to try again; becomes `Retry-After`, in whole seconds, rounded up.
    pub retry_after: Option<Duration>,
    /// For 405: the value of the `Allow` header.
    pub allow: Option<String>,
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

// === impl Acceptance ===

impl Acceptance {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Problem ===

impl Problem {
    /// A problem without details.
    pub fn new(status: StatusCode, kind: &'static str, title: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            title: title.into(),
            detail: String::new(),
            accepted: None,
            request_id: None,
            retry_after: None,
            allow: None,
        }
    }

    /// For callers of a route that has no handler at the moment. Their event was not accepted.
    pub fn not_served() -> Self {
        let title = "this route is not served at the moment";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_served", title);
        let retry_after = Some(NOT_SERVED_RETRY_AFTER);
        Self {
            retry_after,
            ..problem
        }
        .accepted(Acceptance::No)
    }

    /// Sets what is wrong this time.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { detail, ..self }
    }

    /// Sets whether the event was accepted.
    #[must_use]
    pub fn accepted(self, accepted: Acceptance) -> Self {
        let accepted = Some(accepted);
        Self { accepted, ..self }
    }

    /// Sets the invocation it is about.
    #[must_use]
    pub fn request_id(self, request_id: RequestId) -> Self {
        let request_id = Some(request_id);
        Self { request_id, ..self }
    }

    /// The JSON document.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let wire = Wire {
            r#type: format!("urn:tripline:{}", self.kind),
            title: &self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            accepted: self.accepted.map(Acceptance::as_str),
            request_id: self.request_id.map(|id| id.to_string()),
        };
        serde_json::to_vec(&wire).expect("strings and numbers are always JSON")
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let a_moment = Some(Duration::from_secs(1));
        let (status, title, retry_after) = match &rejected {
            Rejected::OverLimit { retry_after, .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many events",
                Some(*retry_after),
            ),
            Rejected::QueueFull { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many invocations wait for their start",
                a_moment,
            ),
            Rejected::UnknownFunction(_) => (StatusCode::NOT_FOUND, "no such function", None),
            Rejected::TooLarge { .. } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the event is too large",
                None,
            ),
            Rejected::AttributesTooLarge { .. } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the attributes of the event are too large",
                None,
            ),
            Rejected::Invalid(_) => (StatusCode::BAD_REQUEST, "the event is not valid", None),
            Rejected::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "the idempotency key belongs to another request",
                None,
            ),
            Rejected::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the hub is stopping",
                a_moment,
            ),
            Rejected::StorageFull => (StatusCode::SERVICE_UNAVAILABLE, "the disk is full", None),
            Rejected::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the journal is not available",
                None,
            ),
            Rejected::Unknown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "whether the event was accepted is not known",
                None,
            ),
        };
        let accepted = match rejected {
            Rejected::Unknown => Acceptance::Unknown,
            _ => Acceptance::No,
        };
        Self {
            retry_after,
            ..Self::new(status, rejected.as_str(), title)
                .detail(rejected.to_string())
                .accepted(accepted)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(retry_after) = self.retry_after {
            let seconds = retry_after.as_millis().div_ceil(1000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow.and_then(|allow| allow.try_into().ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

#[cfg(test)]
mod tests;
