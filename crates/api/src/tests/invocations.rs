//! Listing, showing, results, stopping.

use serde_json::json;

use super::hub::{TEST_TIMEOUT, TestHub, request};

#[tokio::test]
async fn an_invocation_shows_its_life() {
    let hub = TestHub::start().await;
    let id = hub.accepted("fail").await;
    let shown = hub.in_state(&id, "failed").await;
    for (key, value) in [
        ("request_id", json!(id)),
        ("function", json!("work")),
        ("scf_status", json!("FAILED")),
        ("status_code", json!(439)),
        ("ran", json!("yes")),
        ("duration_ms", json!(12)),
        ("peak_memory_bytes", json!(4096)),
        ("memory_limit_bytes", json!(8192)),
        ("reclaim_pending", json!(false)),
        ("accepted_at", json!("2026-11-24T12:00:00.000Z")),
        ("ended_at", json!("2026-11-24T12:00:00.000Z")),
        ("exit_code", json!(3)),
        ("result_cut", json!(false)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    let waiting = hub.accepted("wait").await;
    let shown = hub.in_state(&waiting, "running").await;
    assert_eq!(
        (&shown["scf_status"], &shown["ran"]),
        (&json!("RUNNING"), &json!("unknown"))
    );
    assert_eq!(shown["status_code"], 202);
}

#[tokio::test]
async fn an_id_in_capitals_is_the_same_id() {
    let hub = TestHub::start().await;
    let id = hub.accepted("ok").await;
    hub.in_state(&id, "succeeded").await;
    let path = format!("/v1/invocations/{}", id.to_uppercase());
    let shown = hub.ask("GET", &path).await.json();
    assert_eq!(shown["request_id"], json!(id));
    for rest in ["/logs", "/result"] {
        assert_eq!(hub.ask("GET", &format!("{path}{rest}")).await.status, 200);
    }
}

#[tokio::test]
async fn what_has_ended_and_is_not_gone_is_shown_so() {
    let hub = TestHub::start().await;
    let id = hub.accepted("cling").await;
    hub.in_state(&id, "succeeded").await;
    let path = format!("/v1/invocations/{id}");
    let pending = async {
        while hub.ask("GET", &path).await.json()["reclaim_pending"] != true {
            tokio::task::yield_now().await;
        }
    };
    let shown = tokio::time::timeout(TEST_TIMEOUT, pending).await;
    shown.expect("it is shown in time");
    let function = hub.ask("GET", "/v1/functions/work").await.json();
    assert_eq!(
        (&function["running"], &function["reclaim_pending"]),
        (&json!(0), &json!(1))
    );
    let listed = hub.ask("GET", "/v1/invocations").await.json();
    assert_eq!(listed["invocations"][0]["reclaim_pending"], true);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let hub = TestHub::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, hub.accepted("ok").await);
    }
    hub.in_state(&ids[0], "succeeded").await;
    let listed = |page: &serde_json::Value| -> Vec<String> {
        let invocations = page["invocations"].as_array().unwrap().iter();
        invocations
            .map(|one| one["request_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = hub.ask("GET", "/v1/invocations?limit=2").await.json();
    assert_eq!(listed(&first), ids[..2]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = hub
        .ask("GET", &format!("/v1/invocations?limit=2&cursor={cursor}"))
        .await
        .json();
    assert_eq!(
        (listed(&second), &second["next_cursor"]),
        (ids[2..].to_vec(), &json!(null))
    );
    for none in [
        "function=answer",
        "trigger=door",
        "state=lost",
        "since=2026-11-24T12:00:01Z",
        "until=2026-11-24T12:00:00Z",
    ] {
        let page = hub
            .ask("GET", &format!("/v1/invocations?{none}"))
            .await
            .json();
        assert_eq!(
            page,
            json!({ "invocations": [], "damaged": [], "next_cursor": null }),
            "{none}"
        );
    }
    let all = "function=work&since=2026-11-24T12:00:00Z&until=2026-11-24T12:00:01Z";
    assert_eq!(
        listed(
            &hub.ask("GET", &format!("/v1/invocations?{all}"))
                .await
                .json()
        ),
        ids
    );
}

#[tokio::test]
async fn bad_parameters_are_named_with_what_is_allowed() {
    let hub = TestHub::start().await;
    for (query, words) in [
        (
            "state=done",
            "`state` takes one of accepted, running, succeeded",
        ),
        ("limit=0", "`limit` takes a number from 1 to 1000"),
        ("limit=1001", "`limit` takes a number from 1 to 1000"),
        ("since=today", "`since` takes a moment such as"),
        ("until=2026", "`until` takes a moment such as"),
        ("function=A%2FB", "`function` takes a name"),
        ("trigger=", "`trigger` takes a name"),
        ("cursor=zzz", "`cursor` takes the next_cursor"),
        (
            "stat=lost",
            "there are: function, trigger, state, since, until, limit, cursor",
        ),
        ("state=lost&state=failed", "`state` is given twice"),
    ] {
        let answer = hub.ask("GET", &format!("/v1/invocations?{query}")).await;
        let problem = answer.problem(400, "bad_request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_result_is_bytes_to_keep_and_nothing_to_show() {
    let hub = TestHub::start().await;
    let id = hub.accepted("ok <script>").await;
    hub.in_state(&id, "succeeded").await;
    let answer = hub
        .ask("GET", &format!("/v1/invocations/{id}/result"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "ok <script>")
    );
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(
        answer.headers["content-disposition"],
        format!("attachment; filename=\"{id}.bin\"")
    );
    let waiting = hub.accepted("wait").await;
    let answer = hub
        .ask("GET", &format!("/v1/invocations/{waiting}/result"))
        .await;
    assert_eq!(
        answer.problem(409, "not_ended")["request_id"],
        json!(waiting)
    );
}

#[tokio::test]
async fn a_running_invocation_is_stopped_and_an_ended_one_is_not() {
    let hub = TestHub::start().await;
    let id = hub.accepted("wait").await;
    hub.in_state(&id, "running").await;
    let path = format!("/v1/invocations/{id}/terminate");
    for bad in ["{", "[]", r#"{"grace":1}"#, r#"{"grac":true}"#] {
        hub.send(request("POST", &path, bad), true)
            .await
            .problem(400, "bad_request");
    }
    let long = Box::leak(format!(r#"{{"grace":{}}}"#, "1".repeat(2000)).into_boxed_str());
    let refused = hub.send(request("POST", &path, long), true).await;
    let problem = refused.problem(413, "too_large");
    assert!(
        problem.get("accepted").is_none(),
        "no event was offered: {problem}"
    );
    let answer = hub
        .send(request("POST", &path, r#"{"grace":false}"#), true)
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "request_id": id, "outcome": "stopping" }))
    );
    let shown = hub.in_state(&id, "terminated").await;
    assert_eq!(shown["scf_status"], "ABORTED");
    let problem = hub.ask("POST", &path).await.problem(409, "already_ended");
    assert_eq!(problem["request_id"], json!(id));
    let never = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";
    let answer = hub
        .ask("POST", &format!("/v1/invocations/{never}/terminate"))
        .await;
    answer.problem(404, "unknown_invocation");
}

#[tokio::test]
async fn a_damaged_record_is_left_out_of_a_list_and_named() {
    let hub = TestHub::start().await;
    let (whole, damaged) = (hub.accepted("ok").await, hub.accepted("ok").await);
    hub.in_state(&damaged, "succeeded").await;
    hub.journal.damage(damaged.parse().unwrap());
    let page = hub.ask("GET", "/v1/invocations").await.json();
    assert_eq!(page["invocations"][0]["request_id"], whole);
    assert_eq!(page["invocations"][1], json!(null));
    assert_eq!(page["damaged"], json!([damaged]));
    let path = format!("/v1/invocations/{damaged}");
    let shown = hub.ask("GET", &path).await.problem(500, "damaged");
    assert_eq!(shown["request_id"], damaged);
}
