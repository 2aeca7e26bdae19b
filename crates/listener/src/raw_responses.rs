//! Responses as bytes, for connections whose request never reaches the application.

use http::StatusCode;

use crate::{Acceptance, Problem};

/// How hyper's own response to a head that it cannot read begins; the rest of the status follows.
const HYPER_START: &[u8] = b"HTTP/1.1 4";

/// The status of hyper's own response, which has no body that explains it. `None` if it is another response.
pub(crate) fn bare_status(response: &[u8]) -> Option<StatusCode> {
    let is_bare = |response: &[u8]| {
        response
            .windows(17)
            .any(|at| at.eq_ignore_ascii_case(b"content-length: 0"))
    };
    let status = response.get(9..12)?;
    (response.starts_with(HYPER_START) && is_bare(response))
        .then(|| StatusCode::from_bytes(status).ok())
        .flatten()
}

/// For a head that cannot be parsed: no part of it was acted on.
pub(crate) fn malformed_head(status: StatusCode) -> Vec<u8> {
    let (kind, title) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("head_too_large", "the request's headers are too large")
        }
        StatusCode::URI_TOO_LONG => ("uri_too_long", "the request's path is too long"),
        _ => ("malformed_request", "this is not an HTTP/1.1 request"),
    };
    bytes(&Problem::new(status, kind, title))
}

/// For a head that took too long.
pub(crate) fn head_timeout() -> Vec<u8> {
    let title = "the request's head took too long";
    bytes(&Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "head_too_slow",
        title,
    ))
}

/// For a connection of an address that has as many as it may.
pub(crate) fn too_many_connections() -> Vec<u8> {
    let title = "this address has too many connections";
    bytes(&Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_connections",
        title,
    ))
}

fn bytes(problem: &Problem) -> Vec<u8> {
    let problem = problem.clone().accepted(Acceptance::No);
    let (status, body) = (problem.status, problem.to_json());
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_response_is_hypers_own() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        assert_eq!(bare_status(bare.as_bytes()), Some(large));
        for other in [
            "",
            "HTTP/1.1 4",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\n\r\n",
        ] {
            assert_eq!(bare_status(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn every_response_says_that_nothing_was_accepted() {
        for response in [
            malformed_head(StatusCode::BAD_REQUEST),
            head_timeout(),
            too_many_connections(),
        ] {
            let response = String::from_utf8(response).unwrap();
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())));
            assert!(head.contains("connection: close"));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["accepted"], "no");
        }
    }
}
