//! The HTTP trigger, as its callers see it.

use serde_json::{Value, json};
use tripline_tests::Hub;

const CONFIG: &str = r#"
[functions.show]
command = ["sh", "-c", "echo type=$CE_TYPE id=$CE_ID; cat"]
[functions.shout]
command = ["tr", "a-z", "A-Z"]
execution = "sync"
[triggers.open]
kind = "http"
function = "show"
route = "POST /open/{item}"
auth = "none"
[triggers.guarded]
kind = "http"
function = "show"
route = "POST /guarded"
auth = { bearer = { env = "GUARD_TOKEN" } }
[triggers.shout]
kind = "http"
function = "shout"
route = "POST /shout"
auth = "none"
"#;

async fn hub() -> Hub {
    let mut hub = Hub::prepare(CONFIG);
    hub.launch_with(&[("GUARD_TOKEN", "s3cret-guard")]).await;
    hub
}

async fn log_of(hub: &Hub, id: &str) -> String {
    assert_eq!(hub.ended(id).await["state"], "succeeded");
    hub.cli(&["logs", id]).stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_gets_a_receipt_and_runs() {
    let hub = hub().await;
    let answer = hub
        .client()
        .post(hub.gateway("/open/7"))
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let receipt: Value = answer.json().await.unwrap();
    let id = receipt["request_id"].as_str().unwrap();
    assert_eq!(receipt, json!({ "request_id": id }));
    let log = log_of(&hub, id).await;
    assert!(
        log.contains("type=tripline.http.request.v1") && log.contains("hello"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_opens_and_is_told_to_nobody() {
    let hub = hub().await;
    let post = || hub.client().post(hub.gateway("/guarded"));
    assert_eq!(post().send().await.unwrap().status(), 401);
    assert_eq!(
        post().bearer_auth("wrong").send().await.unwrap().status(),
        401
    );
    assert_eq!(
        post()
            .bearer_auth("s3cret-guard")
            .send()
            .await
            .unwrap()
            .status(),
        202
    );
    let everything = [
        hub.lines("hub.log").join("\n"),
        hub.get("/v1/triggers").await.to_string(),
        hub.invocations("")
            .await
            .iter()
            .map(Value::to_string)
            .collect(),
    ];
    assert!(!everything.concat().contains("s3cret-guard"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_gives_one_receipt() {
    let hub = hub().await;
    let post = async |body: &'static str| {
        let request = hub
            .client()
            .post(hub.gateway("/open/1"))
            .header("Idempotency-Key", "\"k-1\"");
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            answer.json::<Value>().await.unwrap()["request_id"].clone(),
        )
    };
    let (first, again, other) = (post("a").await, post("a").await, post("b").await);
    assert_eq!((first.0, other.0), (202, 422));
    assert_eq!(first, again);
    assert_eq!(hub.invocations("trigger=open").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_keep_their_attributes() {
    let hub = hub().await;
    let binary = hub
        .client()
        .post(hub.gateway("/open/1"))
        .header("ce-specversion", "1.0")
        .header("ce-id", "b-1")
        .header("ce-type", "org.example.thing")
        .header("ce-source", "/here")
        .body("data")
        .send();
    let event = json!({ "specversion": "1.0", "id": "s-1", "type": "org.example.other",
        "source": "/there", "data": { "n": 1 } });
    let structured = hub
        .client()
        .post(hub.gateway("/open/1"))
        .header("content-type", "application/cloudevents+json")
        .body(event.to_string())
        .send();
    let expected = [
        "type=org.example.thing id=b-1",
        "type=org.example.other id=s-1",
    ];
    for (answer, line) in [binary.await, structured.await].into_iter().zip(expected) {
        let receipt: Value = answer.unwrap().json().await.unwrap();
        let log = log_of(&hub, receipt["request_id"].as_str().unwrap()).await;
        assert!(log.contains(line), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_clear_and_nothing_runs() {
    let hub = hub().await;
    let large = vec![b'x'; (1 << 20) + 1];
    let too_large = hub
        .client()
        .post(hub.gateway("/open/1"))
        // The hub closes a connection on which more is to come than it takes: the next request gets a new one.
        .header("connection", "close")
        .body(large)
        .send()
        .await
        .unwrap();
    assert_eq!(too_large.status(), 413);
    let problem: Value = too_large.json().await.unwrap();
    assert_eq!(problem["accepted"], "no", "{problem}");
    assert_eq!(
        hub.client()
            .get(hub.gateway("/open/1"))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
    assert_eq!(
        hub.client()
            .post(hub.gateway("/v1/functions"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert!(hub.invocations("").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_function_answers_the_caller() {
    let hub = hub().await;
    let answer = hub
        .client()
        .post(hub.gateway("/shout"))
        .body("louder")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "LOUDER");
}
