//! The gateway's routes while their triggers do not run: their callers wait or are refused, and nobody else gets their
//! events.

use std::time::Duration;

use serde_json::Value;
use tripline_tests::{Hub, eventually, free_port};

/// A guarded route, and a broad one beside it that lets everybody in.
const CONFIG: &str = r#"
[functions.general]
command = ["true"]
[functions.special]
command = ["true"]
[triggers.general]
kind = "http"
function = "general"
route = "POST /{*rest}"
auth = "none"
[triggers.special]
kind = "http"
function = "special"
route = "POST /orders/pre-{id}.xml"
auth = { bearer = { env = "SPECIAL_TOKEN" } }
"#;

const TOKEN: (&str, &str) = ("SPECIAL_TOKEN", "s3cret-special");

async fn order(hub: &Hub) -> reqwest::Response {
    let request = hub.client().post(hub.gateway("/orders/pre-7.xml"));
    let request = request.bearer_auth(TOKEN.1).body("<order/>");
    request.send().await.expect("the gateway answers")
}

async fn is_refused(hub: &Hub) {
    let answer = order(hub).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    let problem: Value = answer.json().await.expect("a problem");
    assert_eq!(problem["accepted"], "no", "{problem}");
    assert_eq!(hub.invocations("trigger=general").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_of_a_paused_route_are_nobody_elses() {
    let mut hub = Hub::prepare(CONFIG);
    hub.launch_with(&[TOKEN]).await;
    assert_eq!(order(&hub).await.status(), 202);
    for _ in 0..2 {
        let paused = hub.cli(&["triggers", "pause", "special"]);
        assert_eq!(paused.code, 0, "{paused:?}");
        is_refused(&hub).await;
        let resumed = hub.cli(&["triggers", "resume", "special"]);
        assert_eq!(resumed.code, 0, "{resumed:?}");
        eventually("the route is served again", async || {
            (order(&hub).await.status() == 202).then_some(())
        })
        .await;
    }
    assert_eq!(hub.invocations("trigger=general").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_those_of_a_disabled_route() {
    let mut hub = Hub::prepare(&format!("{CONFIG}enabled = false\n"));
    hub.launch_with(&[TOKEN]).await;
    is_refused(&hub).await;
}

/// What the first request hears that gets through to a hub which is just being started.
async fn first_answer(client: reqwest::Client, url: &str) -> u16 {
    let mut again = tokio::time::interval(Duration::from_millis(1));
    loop {
        again.tick().await;
        match client.post(url).body("early").send().await {
            Ok(answer) => return answer.status().as_u16(),
            Err(error) => assert!(error.is_connect(), "{error:?}"),
        }
    }
}

/// Some senders try once and forget: what hears a refusal at the start is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_reaches_a_starting_hub_finds_its_route() {
    let mut hub = Hub::prepare("");
    let port = free_port();
    let many = (0..200).map(|n| {
        format!(
            "[triggers.t{n}]\nkind = \"http\"\nfunction = \"seen\"\nroute = \"POST /{n}\"\nauth = \"none\"\n"
        )
    });
    let config = format!(
        "[gateway]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[functions.seen]\ncommand = [\"true\"]\n{}",
        many.collect::<String>()
    );
    hub.write("tripline.toml", &config);
    let url = format!("http://127.0.0.1:{port}/199");
    for _ in 0..3 {
        let sender = first_answer(hub.client().clone(), &url);
        let (status, ()) = tokio::join!(sender, hub.launch());
        assert_eq!(status, 202);
        hub.kill().await;
    }
}
