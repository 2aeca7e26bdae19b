//! `functions` and `triggers`.

use super::{Exit, FakeHub, pipe};

#[tokio::test]
async fn functions_as_table_and_json() {
    let hub = FakeHub::start().await;
    let function = r#"{"name":"bill","execution":"async","runtime":"process","timeout_ms":60000,"concurrency":4,"queued":2,"running":1,"reclaim_pending":3}"#;
    hub.answer(
        "GET /v1/functions",
        200,
        format!(r#"{{"functions":[{function}]}}"#),
    );
    let ran = pipe(&hub, &["functions"]).await;
    let row: Vec<_> = ran.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["bill", "async", "process", "60s", "4", "2", "1", "3"]);
    let ran = pipe(&hub, &["functions", "--json"]).await;
    assert_eq!(ran.out.lines().count(), 1);
    assert!(ran.out.contains(r#""timeout_ms":60000"#), "{ran:?}");
}

#[tokio::test]
async fn triggers_tell_their_trouble_or_their_facts() {
    let hub = FakeHub::start().await;
    let triggers = r#"{"triggers":[
        {"name":"orders","kind":"kafka","function":"bill","state":"running","since":"2026-11-24T11:00:00Z",
         "accepted":5,"rejected":0,"error":null,"facts":{"lag":0,"group":"g"}},
        {"name":"up","kind":"s3","function":"bill","state":"troubled","since":"2026-11-24T11:59:00Z",
         "accepted":0,"rejected":0,"error":"no \u001b[31mbucket LONG","facts":{}}]}"#;
    let long = "as long as it takes to say what is wrong ".repeat(5) + "and how to mend it";
    let triggers = triggers.replace("LONG", &long);
    hub.answer("GET /v1/triggers", 200, triggers);
    let ran = pipe(&hub, &["triggers"]).await;
    assert!(ran.out.contains("group g, lag 0"), "{}", ran.out);
    let trouble = format!("no \\u{{1b}}[31mbucket {long}\n");
    assert!(ran.out.ends_with(&trouble), "{}", ran.out);
    assert!(
        ran.out.contains("60m ago") && ran.out.contains("60s ago"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn pause_and_resume() {
    let hub = FakeHub::start().await;
    hub.answer(
        "POST /v1/triggers/orders/pause",
        200,
        r#"{"name":"orders","state":"paused"}"#,
    );
    let ran = pipe(&hub, &["triggers", "pause", "orders"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Done, "orders is paused\n"));
    hub.answer(
        "POST /v1/triggers/orders/resume",
        200,
        r#"{"name":"orders","state":"starting"}"#,
    );
    let ran = pipe(&hub, &["triggers", "resume", "orders"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Done, "orders is starting\n"));
    let args = [
        "triggers", "resume", "orders", "--json", "--admin", &hub.url,
    ];
    let ran = pipe(&hub, &args).await;
    assert_eq!(ran.out, "{\"name\":\"orders\",\"state\":\"starting\"}\n");
    let ran = pipe(&hub, &["triggers", "pause", "nope"]).await;
    assert_eq!(ran.exit, Exit::Failed);
}
