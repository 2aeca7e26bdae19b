//! Logs: as they are, and live.

use axum::body::Body;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::hub::{TEST_TIMEOUT, TOKEN, TestHub, request};

/// The path of the log of a run that is over, and its id.
async fn ended(hub: &TestHub) -> (String, String) {
    let id = hub.accepted("ok").await;
    hub.in_state(&id, "succeeded").await;
    (format!("/v1/invocations/{id}/logs"), id)
}

/// The whole log as text.
fn whole(id: &str) -> Vec<u8> {
    [
        format!("START RequestId:{id}\n").as_bytes(),
        b"started\n\xff\n\x1b\nhalf \nok\n",
        format!("END RequestId:{id}\n{}\n", report(id)).as_bytes(),
    ]
    .concat()
}

fn report(id: &str) -> String {
    format!("Report RequestId:{id} Duration:12ms Memory:0.01MB MemUsage:0.00MB Code:200")
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

/// Begins to follow a log.
async fn follow(hub: &TestHub, id: &str) -> Body {
    let path = format!("/v1/invocations/{id}/logs?follow=true");
    let mut asked = request("GET", &path, "");
    let value = format!("Bearer {TOKEN}").parse().unwrap();
    asked.headers_mut().insert("authorization", value);
    hub.app.clone().oneshot(asked).await.unwrap().into_body()
}

/// Reads on until `seen` contains `text`.
async fn read_until(body: &mut Body, seen: &mut String, text: &str) {
    while !seen.contains(text) {
        let frame = tokio::time::timeout(TEST_TIMEOUT, body.frame()).await;
        let data = frame.expect("in time").expect("no end yet").unwrap();
        seen.push_str(&String::from_utf8_lossy(&data.into_data().unwrap()));
    }
}

#[tokio::test]
async fn text_and_json() {
    let hub = TestHub::start().await;
    let (path, id) = ended(&hub).await;
    let answer = hub.ask("GET", &path).await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, whole(&id)));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let at = "2026-11-24T12:00:00.000Z";
    let lines = json!([
        { "seq": 1, "at": at, "stream": "system", "text": format!("START RequestId:{id}"), "complete": true },
        { "seq": 2, "at": at, "stream": "stderr", "text": "started", "complete": true },
        { "seq": 3, "at": at, "stream": "stderr", "text": "\\xff\n\u{1b}", "text_base64": "/wob", "complete": true },
        { "seq": 4, "at": at, "stream": "stderr", "text": "half ", "complete": false },
        { "seq": 5, "at": at, "stream": "stdout", "text": "ok", "complete": true },
        { "seq": 6, "at": at, "stream": "system", "text": format!("END RequestId:{id}"), "complete": true },
        { "seq": 7, "at": at, "stream": "system", "text": report(&id), "complete": true },
    ]);
    let answer = hub.ask("GET", &format!("{path}?format=json")).await;
    assert_eq!(
        (answer.json(), &answer.headers["content-type"]),
        (lines.clone(), &"application/json".parse().unwrap())
    );
    for after in 0..7 {
        let one = format!("{path}?format=json&after={after}&limit=1");
        assert_eq!(hub.ask("GET", &one).await.json(), json!([lines[after]]));
        let rest = format!("{path}?format=json&after={after}");
        let rest = hub.ask("GET", &rest).await.json();
        assert_eq!(
            rest.as_array().unwrap(),
            &lines.as_array().unwrap()[after..]
        );
    }
    let none = hub.ask("GET", &format!("{path}?format=json&after=7")).await;
    assert_eq!(none.text(), "[]");
    let followed = format!("{path}?format=json&follow=true");
    assert_eq!(hub.ask("GET", &followed).await.json(), lines);
    let none = hub.ask("GET", &format!("{followed}&after=7")).await;
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
    let (path, id) = ended(&hub).await;
    let answer = hub.ask("GET", &format!("{path}?follow=true")).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let all = events(&answer.text());
    let ids: Vec<_> = all.iter().map(|(id, _, _)| id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", ""]);
    let kinds = all.iter().map(|(_, kind, _)| kind.as_str());
    assert!(kinds.eq(["", "", "", "", "", "", "", "end"]));
    assert_eq!(all[7].2["state"], "succeeded");
    assert_eq!(all[7].2["status_code"], 200);
    for last in 1..8 {
        let mut resumed = request("GET", &format!("{path}?follow=true"), "");
        resumed
            .headers_mut()
            .insert("last-event-id", last.to_string().parse().unwrap());
        assert_eq!(events(&hub.send(resumed, true).await.text()), all[last..]);
    }
    for (limit, seen) in [(1, 1), (2, 2), (6, 6), (7, 8), (8, 8)] {
        let path = format!("{path}?follow=true&limit={limit}");
        let received = events(&hub.ask("GET", &path).await.text());
        assert_eq!(received, all[..seen], "the end comes after all lines");
    }
    let mut odd = request("GET", &format!("{path}?follow=true"), "");
    odd.headers_mut()
        .insert("last-event-id", "x".parse().unwrap());
    hub.send(odd, true).await.problem(400, "bad_request");
    let mut text = request("GET", &format!("{path}?follow=true"), "");
    text.headers_mut()
        .insert("accept", "text/plain".parse().unwrap());
    assert_eq!(hub.send(text, true).await.body, whole(&id));
}

#[tokio::test]
async fn a_follower_sees_lines_before_the_end_and_an_idle_one_holds_up_nobody() {
    let hub = TestHub::start().await;
    let id = hub.accepted("wait").await;
    let _never_read = follow(&hub, &id).await;
    let (mut body, mut seen) = (follow(&hub, &id).await, String::new());
    read_until(&mut body, &mut seen, "started").await;
    hub.ask("POST", &format!("/v1/invocations/{id}/terminate"))
        .await;
    read_until(&mut body, &mut seen, "event: end").await;
    assert_eq!(events(&seen).last().unwrap().2["state"], "terminated");
    assert!(body.frame().await.is_none(), "the stream is over");
}

#[tokio::test]
async fn a_follower_of_what_waits_sees_the_start_of_a_silent_run() {
    let hub = TestHub::start().await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(hub.accepted("wait").await);
    }
    let (silent, unlucky) = (hub.accepted("hush").await, hub.accepted("ok").await);
    hub.in_state(&busy[3], "running").await;
    let (mut of_silent, mut of_unlucky) =
        (follow(&hub, &silent).await, follow(&hub, &unlucky).await);
    let (mut seen, mut other) = (String::new(), String::new());
    read_until(&mut of_silent, &mut seen, ": following").await;
    read_until(&mut of_unlucky, &mut other, ": following").await;
    let stop = async |id: &str| {
        hub.ask("POST", &format!("/v1/invocations/{id}/terminate"))
            .await;
    };
    stop(&unlucky).await;
    read_until(&mut of_unlucky, &mut other, "event: end").await;
    let [(_, _, end)] = &events(&other)[..] else {
        panic!("a log without a start: {other}");
    };
    assert_eq!(end["state"], "cancelled");
    assert_eq!(seen, ": following\n\n");
    // From now on it waits for a signal.
    assert!(of_silent.frame().now_or_never().is_none());
    stop(&busy[0]).await;
    read_until(&mut of_silent, &mut seen, "START RequestId:").await;
    assert_eq!(
        hub.in_state(&silent, "running").await["ended_at"],
        Value::Null
    );
    stop(&silent).await;
    read_until(&mut of_silent, &mut seen, "event: end").await;
    let texts = events(&seen);
    let texts = texts
        .iter()
        .map(|event| event.2["text"].as_str().unwrap_or_default());
    let words = texts.map(|text| text.split(' ').next().unwrap_or_default());
    assert_eq!(
        words.collect::<Vec<_>>(),
        ["START", "ERROR", "END", "Report", ""]
    );
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
