//! Functions, triggers, readiness, metrics.

use serde_json::json;
use tripline_journal::Health;

use super::hub::{TestHub, request};

#[tokio::test]
async fn functions_are_listed_with_what_they_have_to_do() {
    let hub = TestHub::start().await;
    let id = hub.accepted("wait").await;
    hub.in_state(&id, "running").await;
    let functions = hub.ask("GET", "/v1/functions").await.json()["functions"].clone();
    let names: Vec<_> = functions
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["answer", "work"]);
    let work = hub.ask("GET", "/v1/functions/work").await.json();
    assert_eq!(work, functions[1]);
    assert_eq!(
        work,
        json!({
            "name": "work", "execution": "async", "runtime": "fake", "timeout_ms": 60000,
            "grace_ms": 5000, "concurrency": 4, "qps": null, "max_queued": 100,
            "max_event_age_ms": 3_600_000, "max_result_bytes": 1_048_576,
            "max_log_bytes": 1_048_576, "queued": 0, "running": 1, "reclaim_pending": 0,
            "not_enforced": null,
        })
    );
    hub.ask("GET", "/v1/functions/nobody")
        .await
        .problem(404, "unknown_function");
}

#[tokio::test]
async fn triggers_are_shown_paused_and_resumed() {
    let hub = TestHub::start().await;
    let paused = hub.ask("POST", "/v1/triggers/door/pause").await;
    assert_eq!(
        (paused.status.as_u16(), &paused.json()["state"]),
        (200, &json!("paused"))
    );
    let shown = hub.ask("GET", "/v1/triggers/door").await.json();
    assert_eq!(shown, paused.json());
    let listed = hub.ask("GET", "/v1/triggers").await.json();
    assert_eq!(listed, json!({ "triggers": [shown] }));
    assert_eq!(
        (&shown["kind"], &shown["function"]),
        (&json!("idle"), &json!("work"))
    );
    let resumed = hub.ask("POST", "/v1/triggers/door/resume").await;
    assert_eq!(resumed.status.as_u16(), 200);
    assert_ne!(resumed.json()["state"], "paused");
    for (method, path) in [
        ("GET", "nobody"),
        ("POST", "nobody/pause"),
        ("POST", "nobody/resume"),
    ] {
        let answer = hub.ask(method, &format!("/v1/triggers/{path}")).await;
        answer.problem(404, "unknown_trigger");
    }
}

#[tokio::test]
async fn readiness_names_its_reasons_and_no_more() {
    let hub = TestHub::start().await;
    for (health, reason) in [
        (Health::Full, "storage_full"),
        (
            Health::Poisoned("fsync of /secret/path".to_owned()),
            "journal_failed",
        ),
    ] {
        hub.journal.set_health(health);
        let answer = hub.send(request("GET", "/readyz", ""), false).await;
        assert_eq!(answer.problem(503, "not_ready")["detail"], reason);
    }
    assert_eq!(hub.ask("GET", "/healthz").await.status.as_u16(), 200);
}

#[tokio::test]
async fn metrics_are_text() {
    let hub = TestHub::start().await;
    let answer = hub.ask("GET", "/metrics").await;
    assert_eq!(answer.text(), "tripline_queued 0\n");
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
}
