//! Calling functions.

use serde_json::Value;

use super::hub::{Answer, TestHub, request};

#[tokio::test]
async fn an_async_call_gets_a_receipt_and_runs_once() {
    let hub = TestHub::start().await;
    let mut asked = request("POST", "/v1/functions/work/invocations", "ok go");
    asked
        .headers_mut()
        .insert("content-type", "text/x-odd".parse().unwrap());
    let answer = hub.send(asked, true).await;
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (202, serde_json::json!({ "request_id": id }))
    );
    assert_eq!(answer.headers["location"], format!("/v1/invocations/{id}"));
    let shown = hub.in_state(&id, "succeeded").await;
    assert_eq!(shown["event"]["content_type"], "text/x-odd");
    assert_eq!(shown["event"]["type"], "tripline.api.call.v1");
    assert_eq!(shown["event"]["data_bytes"], 5);
    assert_eq!(shown["trigger"], Value::Null);
}

#[tokio::test]
async fn a_sync_call_gets_the_result() {
    let hub = TestHub::start().await;
    let answer = hub.call("answer", "ok \u{1b}<b>").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "ok \u{1b}<b>")
    );
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let id = answer.headers["tripline-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(hub.in_state(&id, "succeeded").await["function"], "answer");

    let problem = hub
        .call("answer", "fail")
        .await
        .problem(502, "function_failed");
    let id = problem["request_id"].as_str().unwrap();
    assert_eq!(hub.in_state(id, "failed").await["exit_code"], 3);
}

#[tokio::test]
async fn a_sync_call_that_does_not_succeed_has_the_same_headers() {
    let hub = TestHub::start().await;
    for replayed in [false, true] {
        let answer = keyed_call(&hub, "answer", "k", "fail").await;
        let id = answer.headers["tripline-request-id"].clone();
        let has_replayed = answer.headers.contains_key("idempotency-replayed");
        assert_eq!(has_replayed, replayed);
        let problem = answer.problem(502, "function_failed");
        assert_eq!(problem["request_id"], id.to_str().unwrap());
    }
}

async fn keyed(hub: &TestHub, key: &str, data: &'static str) -> Answer {
    keyed_call(hub, "work", key, data).await
}

async fn keyed_call(hub: &TestHub, function: &str, key: &str, data: &'static str) -> Answer {
    let path = format!("/v1/functions/{function}/invocations");
    let mut asked = request("POST", &path, data);
    asked
        .headers_mut()
        .insert("idempotency-key", key.parse().unwrap());
    hub.send(asked, true).await
}

#[tokio::test]
async fn a_key_is_one_invocation() {
    let hub = TestHub::start().await;
    let (first, again) = (keyed(&hub, "k", "ok").await, keyed(&hub, "k", "ok").await);
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!(first.json(), again.json());
    assert!(first.headers.get("idempotency-replayed").is_none());
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let problem = keyed(&hub, "k", "other").await.problem(422, "key_reused");
    assert_eq!(problem["accepted"], "no");
    assert_ne!(keyed(&hub, "k2", "ok").await.json(), first.json());
    let list = hub.ask("GET", "/v1/invocations").await.json();
    assert_eq!(list["invocations"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_has_that_nothing_was_accepted() {
    let hub = TestHub::start().await;
    let problem = hub
        .call("nobody", "")
        .await
        .problem(404, "unknown_function");
    assert_eq!(problem["accepted"], "no");
    let large = "x".repeat(1025).leak();
    let problem = hub.call("work", large).await.problem(413, "too_large");
    assert_eq!(problem["accepted"], "no");
    for key in ["", &"k".repeat(256)] {
        assert_eq!(
            keyed(&hub, key, "ok")
                .await
                .problem(400, "invalid_idempotency_key")["accepted"],
            "no"
        );
    }
    hub.dispatcher.handle().drain();
    let problem = hub.call("work", "ok").await.problem(503, "draining");
    assert_eq!(problem["accepted"], "no");
    let list = hub.ask("GET", "/v1/invocations").await.json();
    assert_eq!(list["invocations"], serde_json::json!([]));
}
