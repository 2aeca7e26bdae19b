//! A function's ends, its log and its result, through the API and the CLI.

use serde_json::Value;
use tripline_tests::{Hub, eventually};

const CONFIG: &str = r#"
[functions.good]
command = ["sh", "-c", "echo to the log >&2; echo the result; cat"]
[functions.bad]
command = ["sh", "-c", "echo it broke >&2; exit 3"]
[functions.slow]
command = ["sh", "-c", "trap '' TERM; sleep 1000"]
timeout = "300ms"
grace = "200ms"
[functions.endless]
command = ["sh", "-c", "echo begun; sleep 1000"]
timeout = "1h"
concurrency = 1
[functions.shout]
command = ["tr", "a-z", "A-Z"]
execution = "sync"
[functions.absent]
command = ["/no/such/program"]
"#;

async fn hub() -> Hub {
    Hub::start(CONFIG).await
}

fn invoke(hub: &Hub, args: &[&str]) -> String {
    let output = hub.cli(&[&["invoke"], args].concat());
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_run_has_its_log_and_its_result() {
    let hub = hub().await;
    let id = invoke(&hub, &["good", "--data", "payload"]);
    let ended = hub.ended(&id).await;
    assert_eq!(ended["state"], "succeeded");
    assert_eq!(ended["scf_status"], "FINISHED");
    let logs = hub.cli(&["logs", &id]);
    for line in ["to the log", "the result", "payload"] {
        assert!(logs.stdout.contains(line), "{logs:?}");
    }
    let ps = hub.cli(&["ps"]);
    assert!(
        ps.stdout.contains(&id) && ps.stdout.contains("succeeded"),
        "{ps:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_its_code() {
    let hub = hub().await;
    let id = invoke(&hub, &["bad"]);
    let ended = hub.ended(&id).await;
    assert_eq!(
        (&ended["state"], &ended["exit_code"]),
        (&"failed".into(), &3.into()),
        "{ended}"
    );
    assert_eq!(ended["scf_status"], "FAILED");
    assert!(hub.cli(&["show", &id]).stdout.contains("exit_code"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_a_failure_and_no_retry() {
    let hub = hub().await;
    let ended = hub.ended(&invoke(&hub, &["absent"])).await;
    assert_eq!(
        (&ended["state"], &ended["reason"]),
        (&"failed".into(), &"start_failed".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_its_time_is_killed_though_it_ignores_sigterm() {
    let hub = hub().await;
    let ended = hub.ended(&invoke(&hub, &["slow"])).await;
    assert_eq!(ended["state"], "timed_out", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn terminate_stops_a_run_and_cancels_what_waits() {
    let hub = hub().await;
    let running = invoke(&hub, &["endless"]);
    eventually("the run has begun", async || {
        hub.cli(&["logs", &running])
            .stdout
            .contains("begun")
            .then_some(())
    })
    .await;
    let waiting = invoke(&hub, &["endless"]);
    for id in [&waiting, &running] {
        let output = hub.cli(&["terminate", id]);
        assert_eq!(output.code, 0, "{output:?}");
    }
    assert_eq!(hub.ended(&waiting).await["state"], "cancelled");
    let ended = hub.ended(&running).await;
    assert_eq!(
        (&ended["state"], &ended["scf_status"]),
        (&"terminated".into(), &"ABORTED".into())
    );
    assert!(hub.get(&format!("/v1/invocations/{waiting}")).await["started_at"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn following_a_log_ends_with_the_run() {
    let hub = hub().await;
    let id = invoke(&hub, &["good", "--data", "x"]);
    let followed = hub.cli(&["logs", "-f", &id]);
    assert_eq!(followed.code, 0, "{followed:?}");
    assert!(followed.stdout.contains("the result"), "{followed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_function_answers_with_its_result() {
    let hub = hub().await;
    let output = hub.cli(&["invoke", "shout", "--data", "louder"]);
    assert!(output.stdout.contains("LOUDER"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_get_json() {
    let hub = hub().await;
    let id = invoke(&hub, &["good"]);
    hub.ended(&id).await;
    let shown: Value = serde_json::from_str(&hub.cli(&["show", &id, "--json"]).stdout).unwrap();
    assert_eq!(shown["request_id"], id.as_str());
    let unknown = hub.cli(&["show", "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
}
