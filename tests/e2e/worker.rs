//! Warm instances: the public clients of AWS's Runtime API for Python, Node and Rust, and a bootstrap for SCF's.
//!
//! Each goes through success, error, crash, timeout, a large event and a failed start. Event formats are in `events`,
//! the life of instances in `instances`.

mod client;
mod events;
mod instances;

use serde_json::{Value, json};
use tripline_tests::{Hub, eventually, is_alive};

use client::{Client, answer, call, pid, texts};

/// Runs each test for each client that is there.
macro_rules! for_every_client {
    ($($test:path => $name:ident),* $(,)?) => {
        for_every_client!(@python $($test => $name),*);
        for_every_client!(@node $($test => $name),*);
        for_every_client!(@rust $($test => $name),*);
        for_every_client!(@scf $($test => $name),*);
    };
    (@$client:ident $($test:path => $name:ident),*) => {
        mod $client {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    if let Some(client) = super::client::$client() {
                        $test(&client).await;
                    }
                }
            )*
        }
    };
}

for_every_client! {
    super::succeeds => events_of_any_size_are_answered_and_logged,
    super::fails => a_failure_says_what_it_was_and_costs_the_instance,
    super::is_stopped => a_timeout_and_a_stop_end_the_whole_tree,
    super::does_not_start => an_instance_that_does_not_get_ready_is_a_failure_of_the_event,
    super::events::of_an_http_trigger => an_event_has_the_shape_that_was_asked_for,
    super::instances::are_kept_warm => instances_are_kept_warm,
    super::instances::are_ended_when_idle => idle_instances_are_ended,
    super::instances::outlive_the_hub => a_run_and_its_instance_outlive_the_hub,
}

/// One run at a time; the data is what the function gets.
const USUAL: &str = "concurrency = 1\nevent_format = \"raw\"\n";

/// Asserts the end, and that the log tells the same.
async fn is(hub: &Hub, ended: &Value, state: &str, code: u16, reason: &str) {
    let found = (&ended["state"], &ended["status_code"], &ended["reason"]);
    let expected = (&json!(state), &json!(code), &json!(reason));
    assert_eq!(found, expected, "{ended}");
    let id = ended["request_id"].as_str().unwrap();
    let lines = texts(hub, ended, |stream| stream == "system").await;
    assert_eq!(
        lines.first(),
        Some(&format!("START RequestId:{id}")),
        "{lines:?}"
    );
    let mut last = lines.iter().rev();
    let report = last.next().unwrap();
    let head = format!("Report RequestId:{id} Duration:");
    let tail = format!(" Code:{code}");
    assert!(
        report.starts_with(&head) && report.ends_with(&tail),
        "{lines:?}"
    );
    assert_eq!(
        last.next(),
        Some(&format!("END RequestId:{id}")),
        "{lines:?}"
    );
    let error = format!("ERROR RequestId:{id} Result:{reason}");
    let has_error = last.next().is_some_and(|line| line.starts_with(&error));
    assert_eq!(has_error, state != "succeeded", "{lines:?}");
}

/// What the function itself wrote during an invocation.
async fn written(hub: &Hub, ended: &Value) -> Vec<String> {
    texts(hub, ended, |stream| stream != "system").await
}

/// Waits until neither an instance nor an orphan of one is left: those come to the executor, too.
async fn none_left(hub: &Hub, function: &str) {
    eventually(&format!("nothing of {function} is left"), async || {
        hub.instances(function).is_empty().then_some(())
    })
    .await;
}

async fn succeeds(client: &Client) {
    let function = client.function("f", &format!("{USUAL}max_result = \"8MiB\""), &[]);
    let hub = client
        .hub(&format!("[hub]\nmax_event = \"6MiB\"\n{function}"))
        .await;
    let value = json!({ "a": [1, "ü"] });
    let first = call(&hub, "f", &json!({ "do": "echo", "value": value })).await;
    is(&hub, &first, "succeeded", 200, "answered").await;
    assert_eq!(
        (&first["ran"], &first["scf_status"]),
        (&json!("yes"), &json!("FINISHED"))
    );
    let answered = answer(&hub, &first).await;
    assert_eq!((&answered["echo"], &answered["count"]), (&value, &json!(1)));

    let large = "x".repeat(6_000_000);
    let second = call(&hub, "f", &json!({ "do": "echo", "value": large })).await;
    is(&hub, &second, "succeeded", 200, "answered").await;
    assert!(
        second["result_bytes"].as_u64() > Some(6_000_000),
        "{second}"
    );
    let again = answer(&hub, &second).await;
    assert!(again["echo"] == large, "all six million bytes");
    assert_eq!(
        (&again["count"], &again["pid"]),
        (&json!(2), &answered["pid"])
    );

    // Each run has its own lines, though one process wrote them all.
    for ended in [&first, &second] {
        let lines = written(&hub, ended).await;
        let own: Vec<_> = lines.iter().filter(|line| line.contains("doing")).collect();
        assert!(own.len() == 1 && own[0].contains("doing echo"), "{lines:?}");
    }
}

async fn fails(client: &Client) {
    let function = client.function("f", &format!("{USUAL}max_result = \"1KiB\""), &[]);
    let hub = client.hub(&function).await;
    let cases = [
        ("error", 430, "reported", "no such order"),
        ("text_error", 430, "reported", "not json"),
        ("crash", 439, "crashed", ""),
        ("echo", 407, "result_too_large", ""),
    ];
    let too_much = "x".repeat(2000);
    let mut before = pid(&hub, "f").await;
    for (what, code, reason, detail) in cases {
        assert_eq!(
            pid(&hub, "f").await,
            before,
            "after a success it is the same"
        );
        let ended = call(&hub, "f", &json!({ "do": what, "value": too_much })).await;
        is(&hub, &ended, "failed", code, reason).await;
        assert_eq!(ended["ran"], "yes");
        let found = ended["detail"].as_str().unwrap_or_default();
        assert!(found.contains(detail), "{ended}");
        let lines = written(&hub, &ended).await.join("\n");
        assert!(lines.contains(&format!("doing {what}")), "{lines}");
        assert!(!is_alive(before), "{before} has failed, and lives");
        if what == "crash" {
            assert_eq!(ended["exit_code"], 7, "{ended}");
        }
        let after = pid(&hub, "f").await;
        assert_ne!(after, before, "after a failure it is another one");
        before = after;
    }
}

async fn is_stopped(client: &Client) {
    let keys = format!("{USUAL}timeout = \"8s\"\ngrace = \"300ms\"");
    let patient = format!("{USUAL}timeout = \"1h\"");
    let config = [
        client.function("hasty", &keys, &[]),
        client.function("patient", &patient, &[]),
    ];
    let hub = client.hub(&config.concat()).await;
    let sleep = json!({ "do": "sleep" });

    let ended = call(&hub, "hasty", &sleep).await;
    is(&hub, &ended, "timed_out", 433, "timeout").await;
    none_left(&hub, "hasty").await;
    let next = pid(&hub, "hasty").await;
    assert_eq!(hub.instances("hasty"), [next]);

    let id = hub.invoke("patient", sleep.to_string()).await;
    hub.line(&id, |text| text.contains("doing sleep")).await;
    let output = hub.cli(&["terminate", &id]);
    assert_eq!(output.code, 0, "{output:?}");
    let ended = hub.ended(&id).await;
    is(&hub, &ended, "terminated", 499, "terminated").await;
    none_left(&hub, "patient").await;
    pid(&hub, "patient").await;
}

async fn does_not_start(client: &Client) {
    let mut config = client.function("broken", USUAL, &[("FAIL_INIT", "1")]);
    if client.can_hang() {
        let keys = format!("{USUAL}init_timeout = \"1s\"");
        config += &client.function("stuck", &keys, &[("HANG_INIT", "1")]);
    }
    let hub = client.hub(&config).await;
    let echo = json!({ "do": "echo" });
    let ended = call(&hub, "broken", &echo).await;
    is(&hub, &ended, "failed", 445, "init_failed").await;
    assert_eq!(ended["ran"], "no", "{ended}");
    let lines = written(&hub, &ended).await.join("\n");
    let texts = format!("{lines}\n{}", ended["detail"]);
    assert!(texts.contains("the model is missing"), "{texts}");
    if client.can_hang() {
        let ended = call(&hub, "stuck", &echo).await;
        is(&hub, &ended, "failed", 450, "init_timeout").await;
        assert_eq!(ended["ran"], "no", "{ended}");
    }
    for function in ["broken", "stuck"] {
        none_left(&hub, function).await;
    }
}
