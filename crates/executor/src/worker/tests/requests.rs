//! Requests that are not the instance's own, or not whole.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::api::Served;
use super::{TEST_TIMEOUT, credentials, eventually};
use crate::worker::event_slot::SlotState;

#[tokio::test]
async fn other_names_and_web_pages_are_refused() {
    let served = Served::start().await;
    let port = served.port;
    let ready = |headers: &str| {
        format!("POST /runtime/init/ready HTTP/1.1\r\n{headers}\r\nContent-Length: 0\r\n\r\n")
    };
    for host in ["HOST", &format!("localhost:{port}")] {
        let response = served.raw(&ready(&format!("Host: {host}"))).await;
        assert_eq!(response.status, 200, "{host}");
    }
    for headers in [
        "Host: example.org",
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:1",
        "Host: evil.example:80",
        "X-No: host",
        "Host: HOST\r\nOrigin: https://example.org",
    ] {
        assert_eq!(served.raw(&ready(headers)).await.status, 403, "{headers}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let served = Served::start().await;
    for path in [
        "/",
        "/2018-06-01/runtime/restore/next",
        "/2018-06-01/runtime/invocation/a/other",
        "/2018-06-01/runtime/invocation/a/b/response",
        "/2018-06-01/runtime/invocation//next",
        "/2015-03-31/functions/resize/invocations",
        "/runtime/invocation",
        "/runtime/../tripline/credentials",
    ] {
        assert_eq!(served.ask("GET", path, "").await.status, 404, "{path}");
    }
    let restore = "/2018-06-01/runtime/restore/error";
    assert_eq!(served.ask("POST", restore, "{}").await.status, 404);
    for (method, path) in [
        ("POST", "/2018-06-01/runtime/invocation/next"),
        ("GET", "/2018-06-01/runtime/invocation/a/response"),
        ("PUT", "/2018-06-01/runtime/init/error"),
        ("GET", "/runtime/init/ready"),
        ("POST", "/tripline/credentials"),
    ] {
        assert_eq!(served.ask(method, path, "").await.status, 405, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_answer() {
    let served = Served::start().await;
    served.give("a", 100).await;
    let mut stream = TcpStream::connect(("127.0.0.1", served.port))
        .await
        .unwrap();
    let head = format!(
        "POST /runtime/invocation/response HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 9\r\n\r\nhalf",
        served.port
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    // The event can still be answered, by somebody who says all of it.
    let response = served
        .ask("POST", "/runtime/invocation/response", "whole")
        .await;
    assert_eq!(
        (response.status, served.event_slot.state()),
        (200, SlotState::Answered)
    );
}

#[tokio::test]
async fn who_hung_up_while_waiting_does_not_take_an_event() {
    let served = Served::start().await;
    let mut gone = TcpStream::connect(("127.0.0.1", served.port))
        .await
        .unwrap();
    let next = format!(
        "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
        served.port
    );
    gone.write_all(next.as_bytes()).await.unwrap();
    eventually("the first to ask", || {
        served.event_slot.state() == SlotState::Free
    })
    .await;
    drop(gone);
    eventually("the end of the connection", || served.is_quiet()).await;
    let asking = served.ask("GET", "/2018-06-01/runtime/invocation/next", "");
    let offering = async {
        served.ask("POST", "/runtime/init/ready", " ").await;
        served
            .event_slot
            .offer(std::sync::Arc::new(crate::worker::event_slot::Event {
                id: "a".to_owned(),
                data: bytes::Bytes::from_static(b"1"),
                deadline_ms: 1,
                deadline: Instant::now(),
                max_answer_bytes: 1,
                traceparent: None,
            }));
    };
    let (response, ()) =
        tokio::time::timeout(TEST_TIMEOUT, async { tokio::join!(asking, offering) })
            .await
            .unwrap();
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn credentials_are_for_who_knows_the_token_and_always_the_newest() {
    let served = Served::start().await;
    let ask = |token: &str| {
        format!(
            "GET /tripline/credentials HTTP/1.1\r\nHost: HOST\r\nAuthorization: {token}\r\n\r\n"
        )
    };
    let none = served.ask("GET", "/tripline/credentials", "").await;
    let wrong = served.raw(&ask("guess")).await;
    assert_eq!((none.status, wrong.status), (401, 401));
    assert!(!String::from_utf8_lossy(&wrong.body).contains("secret"));
    served.event_slot.set_credentials(&credentials("second"));
    let response = served.raw(&ask(&served.token)).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    let expected = serde_json::json!({
        "AccessKeyId": "second",
        "SecretAccessKey": "second-secret",
        "Token": "second-token",
        "Expiration": "2026-11-24T22:17:38.243Z",
    });
    assert_eq!(body, expected);
}
