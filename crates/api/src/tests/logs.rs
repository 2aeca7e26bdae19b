//! Logs: as they are, and live.

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::hub::{PATIENCE, TOKEN, TestHub, request};

async fn ended(hub: &TestHub) -> String {
    let id = hub.accepted("ok").await;
    hub.in_state(&id, "succeeded").await;
    format!("/v1/invocations/{id}/logs")
}

/// The events of a stream: (id, kind, data).
fn events(text: &str) -> Vec<(String, String, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data: "));
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().to_owned()
    };
    let event = |block: &str| {
        let data = serde_json::from_str(&field(block, "data: ")).expect("JSON");
        (field(block, "id: "), field(block, "event: "), data)
    };
    blocks.map(event).collect()
}

#[tokio::test]
async fn text_and_json() {
    let hub = TestHub::start().await;
    let path = ended(&hub).await;
    let answer = hub.ask("GET", &path).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (200, &b"started\n\xff\n\x1b\nhalf ok\n"[..])
    );
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let at = "2026-11-24T12:00:00.000Z";
    let lines = json!([
        { "seq": 1, "at": at, "stream": "stderr", "text": "started", "complete": true },
        { "seq": 2, "at": at, "stream": "stderr", "text": "\\xff\n\u{1b}", "text_base64": "/wob", "complete": true },
        { "seq": 3, "at": at, "stream": "stderr", "text": "half ", "complete": false },
        { "seq": 4, "at": at, "stream": "stdout", "text": "ok", "complete": true },
    ]);
    let answer = hub.ask("GET", &format!("{path}?format=json")).await;
    assert_eq!(
        (answer.json(), &answer.headers["content-type"]),
        (lines.clone(), &"application/json".parse().unwrap())
    );
    let one = hub
        .ask("GET", &format!("{path}?format=json&after=1&limit=1"))
        .await
        .json();
    assert_eq!(one, json!([lines[1]]));
    let none = hub.ask("GET", &format!("{path}?format=json&after=4")).await;
    assert_eq!(none.text(), "[]");
    let followed = format!("{path}?format=json&follow=true");
    assert_eq!(hub.ask("GET", &followed).await.json(), lines);
    let none = hub.ask("GET", &format!("{followed}&after=4")).await;
    assert_eq!(none.text(), "[]");
    let answer = hub.ask("GET", &format!("{path}?format=sse")).await;
    let sent: Vec<_> = events(&answer.text())
        .into_iter()
        .map(|sent| sent.2)
        .collect();
    assert_eq!(json!(sent), lines, "what is there, and no end");
    for (query, words) in [
        ("format=xml", "text, json or sse"),
        ("after=-1", "`after`"),
        ("limit=0", "`limit`"),
        ("follow=yes", "true or false"),
    ] {
        let problem = hub
            .ask("GET", &format!("{path}?{query}"))
            .await
            .problem(400, "bad_request");
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{query}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_followed_log_ends_with_the_state_and_resumes() {
    let hub = TestHub::start().await;
    let path = ended(&hub).await;
    let answer = hub.ask("GET", &format!("{path}?follow=true")).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let all = events(&answer.text());
    let ids: Vec<_> = all
        .iter()
        .map(|(id, kind, _)| (id.as_str(), kind.as_str()))
        .collect();
    assert_eq!(
        ids,
        [("1", ""), ("2", ""), ("3", ""), ("4", ""), ("", "end")]
    );
    assert_eq!(all[4].2["state"], "succeeded");
    assert_eq!(all[4].2["status_code"], 200);
    let mut resumed = request("GET", &format!("{path}?follow=true"), "");
    resumed
        .headers_mut()
        .insert("last-event-id", "2".parse().unwrap());
    assert_eq!(events(&hub.send(resumed, true).await.text()), all[2..]);
    let mut odd = request("GET", &format!("{path}?follow=true"), "");
    odd.headers_mut()
        .insert("last-event-id", "x".parse().unwrap());
    hub.send(odd, true).await.problem(400, "bad_request");
    let mut text = request("GET", &format!("{path}?follow=true"), "");
    text.headers_mut()
        .insert("accept", "text/plain".parse().unwrap());
    assert_eq!(
        hub.send(text, true).await.body,
        b"started\n\xff\n\x1b\nhalf ok\n"
    );
}

#[tokio::test]
async fn a_follower_sees_lines_before_the_end_and_an_idle_one_holds_up_nobody() {
    let hub = TestHub::start().await;
    let id = hub.accepted("wait").await;
    let path = format!("/v1/invocations/{id}/logs?follow=true");
    let follow = || async {
        let mut asked = request("GET", &path, "");
        let value = format!("Bearer {TOKEN}").parse().unwrap();
        asked.headers_mut().insert("authorization", value);
        hub.app.clone().oneshot(asked).await.unwrap().into_body()
    };
    let _never_read = follow().await;
    let (mut body, mut seen) = (follow().await, String::new());
    let read_until = async |body: &mut axum::body::Body, seen: &mut String, word: &str| {
        while !seen.contains(word) {
            let frame = tokio::time::timeout(PATIENCE, body.frame())
                .await
                .expect("in time");
            let data = frame.expect("no end yet").unwrap().into_data().unwrap();
            seen.push_str(&String::from_utf8_lossy(&data));
        }
    };
    read_until(&mut body, &mut seen, "started").await;
    hub.ask("POST", &format!("/v1/invocations/{id}/terminate"))
        .await;
    read_until(&mut body, &mut seen, "event: end").await;
    assert_eq!(events(&seen).last().unwrap().2["state"], "terminated");
    assert!(body.frame().await.is_none(), "the stream is over");
}

#[tokio::test]
async fn a_stopping_hub_lets_followers_go_without_an_end() {
    let hub = TestHub::start().await;
    let id = hub.accepted("wait").await;
    hub.in_state(&id, "running").await;
    hub.closing.cancel();
    let answer = hub
        .ask("GET", &format!("/v1/invocations/{id}/logs?follow=true"))
        .await;
    assert!(!answer.text().contains("event: end"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_log_is_kept_alive() {
    let hub = TestHub::start().await;
    let id = hub.accepted("wait").await;
    hub.in_state(&id, "running").await;
    let mut asked = request(
        "GET",
        &format!("/v1/invocations/{id}/logs?follow=true&after=9"),
        "",
    );
    asked
        .headers_mut()
        .insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let mut body = hub.app.clone().oneshot(asked).await.unwrap().into_body();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    assert_eq!(
        seen,
        [
            &b": following\n\n"[..],
            b": still here\n\n",
            b": still here\n\n"
        ]
    );
}
