//! What a connection says when no application can: an answer to what is no request, as bytes.

use http::StatusCode;

use crate::{Acceptance, Problem};

/// How hyper's own answer to a head that it cannot read begins; the status follows.
const OWN: &[u8] = b"HTTP/1.1 4";

/// The status of hyper's own answer, which has no words for the caller.
pub(crate) fn status_of(answer: &[u8]) -> Option<StatusCode> {
    let is_bare = |answer: &[u8]| {
        answer
            .windows(17)
            .any(|at| at.eq_ignore_ascii_case(b"content-length: 0"))
    };
    let status = answer.get(9..12)?;
    (answer.starts_with(OWN) && is_bare(answer))
        .then(|| StatusCode::from_bytes(status).ok())
        .flatten()
}

/// The answer to a head that cannot be read. Nothing in it was looked at.
pub(crate) fn to_a_bad_head(status: StatusCode) -> Vec<u8> {
    let (kind, title) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("head_too_large", "the request's headers are too large")
        }
        StatusCode::URI_TOO_LONG => ("uri_too_long", "the request's path is too long"),
        _ => ("malformed_request", "this is not an HTTP/1.1 request"),
    };
    bytes(&Problem::new(status, kind, title))
}

/// The answer to a head that took too long.
pub(crate) fn to_a_slow_head() -> Vec<u8> {
    let title = "the request's head took too long";
    bytes(&Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "head_too_slow",
        title,
    ))
}

/// The answer to one connection too many of an address.
pub(crate) fn to_one_too_many() -> Vec<u8> {
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
    fn only_a_bare_answer_is_hypers_own() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        assert_eq!(status_of(bare.as_bytes()), Some(large));
        for other in [
            "",
            "HTTP/1.1 4",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\n\r\n",
        ] {
            assert_eq!(status_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn it_says_that_nothing_was_accepted() {
        for answer in [
            to_a_bad_head(StatusCode::BAD_REQUEST),
            to_a_slow_head(),
            to_one_too_many(),
        ] {
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())));
            assert!(head.contains("connection: close"));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["accepted"], "no");
        }
    }
}
