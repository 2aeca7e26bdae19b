use super::*;
use futures_util::stream;
use std::io;
use tokio::time::{Instant, sleep};

const WITHIN: Duration = Duration::from_secs(30);

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
        assert_eq!(read_body(body, 5, WITHIN).await.unwrap(), expected);
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
        let problem = read_body(body, 5, WITHIN).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(problem.accepted, Some(Accepted::No));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let broken = stream::iter([Ok("123"), Err(io::Error::other("reset"))]);
    let problem = read_body(Body::from_stream(broken), 5, WITHIN)
        .await
        .unwrap_err();
    assert_eq!(problem.status, StatusCode::BAD_REQUEST);
}

/// Each piece comes in good time, but all together take too long.
#[tokio::test(start_paused = true)]
async fn a_trickle_ends_at_the_deadline() {
    let started = Instant::now();
    let trickle = stream::unfold((), |()| async {
        sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, io::Error>("."), ()))
    });
    let read = read_body(Body::from_stream(trickle), 1 << 20, WITHIN).await;
    assert_eq!(read.unwrap_err().status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(started.elapsed(), WITHIN);
}
