use super::*;
use crate::bodies::Bodies;
use crate::exchange::Exchanges;
use futures_util::stream;
use std::io;
use tokio::time::{Instant, sleep};

const WITHIN: Duration = Duration::from_secs(30);

async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let (parts, ()) = http::Request::new(()).into_parts();
    let read = read_body(&parts, body, limit, WITHIN).await;
    read.map(|(bytes, _share)| bytes)
}

fn body_context(max: usize) -> BodyContext {
    let exchanges = Exchanges::new(Instant::now(), Default::default());
    let bodies = Bodies::new(max);
    BodyContext { bodies, exchanges }
}

fn pieces(pieces: &[&'static str]) -> Body {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, io::Error>(*piece))
        .collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn bodies_up_to_the_limit_are_read() {
    for (body, expected) in [
        (Body::empty(), ""),
        (Body::from("12345"), "12345"),
        (pieces(&[]), ""),
        (pieces(&["12345"]), "12345"),
        (pieces(&["1", "", "23", "45"]), "12345"),
    ] {
        assert_eq!(read(body, 5).await.unwrap(), expected);
    }
}

/// What waits for its start is kept, and its connection's buffer, up to some hundred KiB, is not.
#[tokio::test]
async fn a_body_does_not_keep_the_buffer_it_came_in() {
    let buffer = Bytes::from(vec![b'x'; 64 * 1024]);
    let kept = read(Body::from(buffer.slice(..1)), 5).await.unwrap();
    assert_eq!(kept, "x");
    assert!(buffer.is_unique());
}

#[test]
fn no_more_room_is_taken_than_is_needed() {
    for (length, announced, limit, room) in [
        (60, 100, 1000, 100),
        (100, 100, 1000, 100),
        (60, 0, 1000, 120),
        (600, 0, 1000, 1000),
        (1000, 0, 1000, 1000),
    ] {
        assert_eq!(capacity(length, announced, limit), room, "{length}");
    }
}

#[tokio::test]
async fn one_byte_more_is_refused() {
    for body in [
        Body::from("123456"),
        pieces(&["123456"]),
        pieces(&["12345", "6"]),
        pieces(&["1", "2345", "6"]),
    ] {
        let problem = read(body, 5).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(problem.accepted, Some(Acceptance::No));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let broken = stream::iter([Ok("123"), Err(io::Error::other("reset"))]);
    let problem = read(Body::from_stream(broken), 5).await.unwrap_err();
    assert_eq!(problem.status, StatusCode::BAD_REQUEST);
}

/// Each piece comes in time, but all together take too long.
#[tokio::test(start_paused = true)]
async fn a_trickle_ends_at_the_deadline() {
    let started = Instant::now();
    let trickle = stream::unfold((), |()| async {
        sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, io::Error>("."), ()))
    });
    let refused = read(Body::from_stream(trickle), 1 << 20).await;
    assert_eq!(refused.unwrap_err().status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(started.elapsed(), WITHIN);
}

#[tokio::test]
async fn bodies_share_the_memory_there_is() {
    let large = || Body::from(vec![0; 40 * 1024]);
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.extensions.insert(body_context(64 * 1024));
    let first = read_body(&parts, large(), 1 << 20, WITHIN).await.unwrap();
    let refused = read_body(&parts, large(), 1 << 20, WITHIN).await;
    let problem = refused.map(|(bytes, _)| bytes).unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.kind),
        (503, "bodies_full")
    );
    assert_eq!(problem.accepted, Some(Acceptance::No));
    let small = read_body(&parts, Body::from("small"), 5, WITHIN).await;
    assert_eq!(small.unwrap().0, "small");
    drop(first);
    assert!(read_body(&parts, large(), 1 << 20, WITHIN).await.is_ok());
}

#[tokio::test]
async fn a_body_whose_slot_is_needed_is_aborted() {
    let body_context = body_context(1 << 20);
    let exchanges = body_context.exchanges.clone();
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.extensions.insert(body_context);
    exchanges.abort_body();
    let never = Body::from_stream(stream::pending::<io::Result<&'static str>>());
    let refused = read_body(&parts, never, 5, WITHIN).await;
    let problem = refused.map(|(bytes, _)| bytes).unwrap_err();
    assert_eq!(problem.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(problem.accepted, Some(Acceptance::No));
}

#[test]
fn encoded_bodies_are_refused() {
    let headers = |value: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        headers
            .extend(value.map(|value| (header::CONTENT_ENCODING, HeaderValue::from_static(value))));
        headers
    };
    for taken in [None, Some("identity"), Some("Identity")] {
        assert!(refuse_content_encoding(&headers(taken)).is_ok());
    }
    for encoded in ["gzip", "br", "identity, gzip", ""] {
        let problem = refuse_content_encoding(&headers(Some(encoded))).unwrap_err();
        assert_eq!(problem.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(problem.accepted, Some(Acceptance::No));
    }
}
