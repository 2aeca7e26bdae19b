//! Requests that no honest client sends, byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

const SMALL: &str = "route = 'POST /a'\nauth = 'none'\nmax_body = '64B'\nbody_timeout = '300ms'";

/// Sends `bytes` and returns everything that comes back until the connection is closed.
async fn exchange(site: &Site, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(site.addr).await.expect("it listens");
    // The hub may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the hub closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_cut() {
    let site = Site::new(SMALL).await;
    let answer = exchange(&site, b"POST /a HTTP/1.1\r\nhost: h\r\nx-").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    let half = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf";
    let answer = exchange(&site, half).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"accepted\":\"no\""), "{answer}");
    site.nothing_offered();
}

#[tokio::test]
async fn a_body_that_comes_in_during_a_pause_is_not_accepted() {
    let mut site = Site::new("route = 'POST /a'\nauth = 'none'").await;
    let mut stream = TcpStream::connect(site.addr).await.expect("it listens");
    let head = b"POST /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.expect("it reads");
    // It is asked for the body once the handler has the request.
    let mut go_on = [0; 25];
    let read = timeout(PATIENCE, stream.read_exact(&mut go_on)).await;
    read.expect("in time").expect("an answer");
    assert_eq!(go_on, *b"HTTP/1.1 100 Continue\r\n\r\n");
    let run = site.run.take().expect("it runs");
    run.stop(STOP).await.expect("ends well");
    stream.write_all(b"late").await.expect("it reads");
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("in time").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("urn:tripline:not_served"), "{answer}");
    assert!(answer.contains("\"accepted\":\"no\""), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 5"), "{answer}");
    site.nothing_offered();
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_announced_or_not() {
    let site = Site::new(SMALL).await;
    let announced = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 65\r\n\r\n";
    let answer = exchange(&site, announced).await;
    assert!(
        answer.starts_with("HTTP/1.1 413"),
        "before a byte of it is sent: {answer}"
    );
    let chunk = "20\r\n".to_owned() + &"x".repeat(32) + "\r\n";
    let head =
        "POST /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = exchange(&site, (head.to_owned() + &chunk.repeat(3)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    site.nothing_offered();
    let fits = head.to_owned() + &chunk.repeat(2) + "0\r\n\r\n";
    let answer = exchange(&site, fits.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(site.only().event.data_len(), 64);
}

#[tokio::test]
async fn evil_idempotency_keys_are_refused() {
    let site = Site::new(SMALL).await;
    let long = "k".repeat(10_000);
    for key in [
        "",
        "\"\"",
        "a b",
        "\"open",
        "k\u{e4}",
        "\"a\\n\"",
        long.as_str(),
    ] {
        let header = format!("idempotency-key: {key}\r\n");
        let answer = exchange(&site, &post(&header, "x")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{key}: {answer}");
        assert!(
            answer.contains("invalid_idempotency_key"),
            "{key}: {answer}"
        );
    }
    let twice = "idempotency-key: a\r\nidempotency-key: a\r\n";
    let answer = exchange(&site, &post(twice, "x")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    site.nothing_offered();
}

#[tokio::test]
async fn malformed_cloudevents_are_refused_with_the_reason() {
    let site = Site::new(SMALL).await;
    let ce = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";
    for (more, words) in [
        ("ce-subject: %ff\r\n", "not percent-encoded UTF-8"),
        ("ce-subject: \u{ff}\r\n", "not percent-encoded UTF-8"),
        ("ce-subject: a%00b\r\n", "control characters"),
        ("ce-id: 2\r\n", "`ce-id` is there twice"),
    ] {
        let answer = exchange(&site, &post(&format!("{ce}{more}"), "")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{more}: {answer}");
        assert!(answer.contains(words), "{more}: {answer}");
    }
    let kind = "content-type: application/cloudevents+json\r\n";
    for body in [
        "",
        "[]",
        "{\"id\":",
        "{\"id\":\"1\",\"id\":\"2\"}",
        "{\"id\":\"\u{1b}\"}",
    ] {
        let answer = exchange(&site, &post(kind, body)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{body}: {answer}");
        assert!(!answer.contains('\u{1b}'), "{answer}");
    }
    site.nothing_offered();
}

#[tokio::test]
async fn two_lengths_are_never_two_requests() {
    let site = Site::new(SMALL).await;
    let smuggled = "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n";
    let head =
        "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n";
    let bytes = format!("{head}0\r\n\r\n{smuggled}");
    exchange(&site, bytes.as_bytes()).await;
    assert!(site.around.dispatch().offered().len() <= 1);
}
