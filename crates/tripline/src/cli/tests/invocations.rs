//! `ps`, `show`, `terminate`.

use serde_json::json;

use super::{Exit, FakeHub, pipe, terminal};

const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";

fn invocation() -> serde_json::Value {
    json!({
        "request_id": ID, "function": "bill", "trigger": null, "state": "failed",
        "scf_status": "FAILED", "status_code": 439, "ran": "yes", "duration_ms": 250,
        "peak_memory_bytes": 31_174_000, "memory_limit_bytes": 134_217_728, "reclaim_pending": true,
        "accepted_at": "2026-11-24T11:59:48.000Z", "started_at": "2026-11-24T11:59:49.000Z",
        "ended_at": "2026-11-24T11:59:49.250Z", "reason": "exit_code",
        "detail": "exit code 1\u{1b}[2J", "exit_code": 1, "signal": null, "result_bytes": 5,
        "result_cut": true,
        "event": {"id": "e-1", "source": "/v1", "type": "t", "subject": "a\nb", "time": "2026-11-24T11:59:48.000Z",
            "content_type": null, "extensions": {"partition": "3"}, "data_bytes": 12},
    })
}

fn page(next: Option<&str>) -> String {
    json!({ "invocations": [invocation()], "next_cursor": next }).to_string()
}

#[tokio::test]
async fn ps_is_a_table_with_whole_ids() {
    let hub = FakeHub::start().await;
    hub.answer("GET /v1/invocations", 200, page(Some("next")));
    let args = [
        "ps",
        "--function",
        "bill",
        "--state",
        "failed",
        "--since",
        "15m",
        "--limit",
        "1",
    ];
    let ran = pipe(&hub, &args).await;
    assert_eq!(ran.exit, Exit::Done, "{ran:?}");
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.out);
    let cells: Vec<_> = lines[1]
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    assert_eq!(
        cells,
        [ID, "bill", "-", "failed", "12s ago", "250ms", "exit_code"]
    );
    assert!(ran.err.contains("--all"), "{ran:?}");
    let asked = &hub.asked()[0];
    let query = "function=bill&state=failed&since=2026-11-24T11%3A45%3A00.000Z&limit=1";
    assert_eq!(asked.line, format!("GET /v1/invocations?{query}"));
    assert_eq!(asked.headers["authorization"], "Bearer s3cret");
}

#[tokio::test]
async fn nobody_invents_how_long_a_lost_run_took() {
    let hub = FakeHub::start().await;
    let mut lost = invocation();
    lost["state"] = "lost".into();
    lost["duration_ms"] = serde_json::Value::Null;
    lost["reason"] = "hub_restarted".into();
    let mut running = lost.clone();
    running["state"] = "running".into();
    running["ended_at"] = serde_json::Value::Null;
    let both = json!({ "invocations": [lost, running], "next_cursor": null });
    hub.answer("GET /v1/invocations", 200, both.to_string());
    hub.answer(&format!("GET /v1/invocations/{ID}"), 200, lost.to_string());
    let ran = pipe(&hub, &["ps"]).await;
    let rows: Vec<Vec<_>> = ran
        .out
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][6..], ["-", "hub_restarted"], "{ran:?}");
    assert_eq!(rows[1][6..], ["11s", "hub_restarted"], "{ran:?}");
    let ran = pipe(&hub, &["show", ID]).await;
    assert!(!ran.out.contains("Ran for"), "{ran:?}");
}

#[tokio::test]
async fn ps_names_what_is_damaged() {
    let hub = FakeHub::start().await;
    let damaged = json!({ "invocations": [invocation()], "damaged": [ID], "next_cursor": null });
    hub.answer("GET /v1/invocations", 200, damaged.to_string());
    let ran = pipe(&hub, &["ps"]).await;
    assert_eq!((ran.exit, ran.out.lines().count()), (Exit::Done, 2));
    let named = format!("{ID} is left out: its record was changed on the disk\n");
    assert_eq!(ran.err, named);
}

#[tokio::test]
async fn ps_all_goes_through_every_page_and_json_is_one_a_line() {
    let hub = FakeHub::start().await;
    hub.answer("GET /v1/invocations", 200, page(Some("c1")));
    hub.answer("GET /v1/invocations", 200, page(None));
    let ran = pipe(&hub, &["ps", "--all", "--json"]).await;
    let lines: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, [invocation(), invocation()]);
    assert_eq!(
        hub.asked()[1].line,
        "GET /v1/invocations?limit=500&cursor=c1"
    );
}

#[tokio::test]
async fn ps_json_says_that_there_are_more_beside_its_output() {
    let hub = FakeHub::start().await;
    hub.answer("GET /v1/invocations", 200, page(Some("c1")));
    let ran = pipe(&hub, &["ps", "--json", "--limit", "1"]).await;
    assert_eq!((ran.exit, ran.out.lines().count()), (Exit::Done, 1));
    let words = "There are more: --limit N shows N, --all shows all\n";
    assert_eq!(ran.err, words);
}

#[tokio::test]
async fn ps_says_that_a_name_is_unknown_where_nothing_is_found() {
    let hub = FakeHub::start().await;
    let nothing = r#"{"invocations":[],"next_cursor":null}"#;
    hub.answer("GET /v1/invocations", 200, nothing);
    hub.answer(
        "GET /v1/functions",
        200,
        r#"{"functions":[{"name":"bill"}]}"#,
    );
    hub.answer("GET /v1/triggers", 200, r#"{"triggers":[{"name":"in"}]}"#);
    let both = ["--function", "nope", "--trigger", "nor"];
    let neither = ["--function", "bill", "--trigger", "in"];
    let words = "no function `nope` is configured\nno trigger `nor` is configured\n";
    for (names, said) in [(&both[..], words), (&neither[..], ""), (&[], "")] {
        for json in [None, Some("--json")] {
            let args: Vec<_> = ["ps"].iter().chain(names).copied().chain(json).collect();
            let ran = pipe(&hub, &args).await;
            assert_eq!((ran.exit, &*ran.err), (Exit::Done, said), "{args:?}");
        }
    }
}

#[tokio::test]
async fn ps_has_listed_even_if_it_cannot_ask_for_names() {
    let hub = FakeHub::start().await;
    let nothing = r#"{"invocations":[],"next_cursor":null}"#;
    hub.answer("GET /v1/invocations", 200, nothing);
    hub.answer("GET /v1/functions", 503, r#"{"title":"stopping"}"#);
    let ran = pipe(&hub, &["ps", "--function", "nope"]).await;
    let words = "whether a function `nope` is configured is not known: stopping\n";
    assert_eq!((ran.exit, &*ran.err), (Exit::Done, words));
}

#[tokio::test]
async fn a_name_of_old_runs_is_not_asked_for() {
    let hub = FakeHub::start().await;
    hub.answer("GET /v1/invocations", 200, page(None));
    let ran = pipe(&hub, &["ps", "--function", "bill"]).await;
    assert_eq!((ran.exit, &*ran.err), (Exit::Done, ""));
    assert_eq!(hub.asked().len(), 1);
}

#[tokio::test]
async fn a_bad_since_is_a_usage_error_that_asks_nobody() {
    let hub = FakeHub::start().await;
    let ran = pipe(&hub, &["ps", "--since", "yesterday"]).await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.err.contains("15m") && ran.err.contains("yesterday"),
        "{ran:?}"
    );
    assert!(hub.asked().is_empty());
}

#[tokio::test]
async fn show_tells_all_and_escapes() {
    let hub = FakeHub::start().await;
    hub.answer(
        &format!("GET /v1/invocations/{ID}"),
        200,
        invocation().to_string(),
    );
    let ran = pipe(&hub, &["show", ID]).await;
    for (name, value) in [
        ("Ran for", "250ms"),
        ("SCF code", "439"),
        ("Peak memory", "29.72 MiB"),
        ("Memory limit", "128.00 MiB"),
        (
            "Reclaim",
            "pending: something of it is still alive and keeps its slot",
        ),
        ("Detail", "exit code 1\\u{1b}[2J"),
        ("Event subject", "a\\nb"),
        ("Result", "5 bytes, cut (--result prints them)"),
        ("Trigger", "-"),
        // The longest name.
        ("Event partition", "3"),
    ] {
        let line = format!("{name:15}  {value}");
        assert!(
            ran.out.lines().any(|shown| shown == line),
            "{line}: {}",
            ran.out
        );
    }
    let ran = pipe(&hub, &["show", ID, "--json"]).await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap(),
        invocation()
    );
}

#[tokio::test]
async fn a_result_is_raw_in_a_pipe_and_escaped_on_a_terminal() {
    let hub = FakeHub::start().await;
    hub.answer(
        &format!("GET /v1/invocations/{ID}/result"),
        200,
        "a\n\x1b[31mb",
    );
    let ran = pipe(&hub, &["show", ID, "--result"]).await;
    assert_eq!(ran.out, "a\n\x1b[31mb");
    let ran = terminal(&hub, &["show", ID, "--result"]).await;
    assert_eq!(ran.out, "a\n\\u{1b}[31mb\n");
    assert_eq!(ran.err, "");
}

#[tokio::test]
async fn a_result_that_was_cut_is_shown_with_a_word() {
    let hub = FakeHub::start().await;
    hub.cuts();
    hub.answer(&format!("GET /v1/invocations/{ID}/result"), 200, "12345");
    let ran = pipe(&hub, &["show", ID, "--result"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Done, "12345"));
    assert!(ran.err.contains("cut at 5 bytes"), "{ran:?}");
}

#[tokio::test]
async fn a_hostile_id_stays_one_segment() {
    let hub = FakeHub::start().await;
    let ran = pipe(&hub, &["show", "../functions?x=1#y"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert_eq!(
        hub.asked()[0].line,
        "GET /v1/invocations/..%2Ffunctions%3Fx=1%23y"
    );
}

#[tokio::test]
async fn terminate_says_what_it_did() {
    let hub = FakeHub::start().await;
    let to = format!("POST /v1/invocations/{ID}/terminate");
    hub.answer(&to, 200, r#"{"outcome":"stopping"}"#);
    hub.answer(&to, 409, r#"{"title":"the invocation has already ended"}"#);
    let ran = pipe(&hub, &["terminate", ID, "--grace"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Done, "stopping\n"));
    assert_eq!(hub.asked()[0].body, br#"{"grace":true}"#);
    let ran = pipe(&hub, &["terminate", ID]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert_eq!(ran.err, "tripline: the invocation has already ended\n");
    assert_eq!(hub.asked()[1].body, br#"{"grace":false}"#);
}
