//! An orderly end of the hub: SIGTERM lets running work end within the drain time and keeps what waits, a second signal
//! ends the hub at once. Also the locks that a running hub holds: its data directory, and its execution mode.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use nix::sys::signal::Signal;
use tripline_tests::{Hub, eventually};

const CONFIG: &str = r#"
[hub]
drain = "20s"
[functions.wait]
command = ["sh", "-c", "echo begun; while [ ! -e go ]; do sleep 0.05; done; echo done"]
concurrency = 1
[triggers.hook]
kind = "http"
function = "wait"
route = "POST /hook"
auth = "none"
"#;

async fn begun(hub: &Hub) -> String {
    let id = hub.post("/hook", "").await;
    eventually("it has begun", async || {
        hub.cli(&["logs", &id])
            .stdout
            .contains("begun")
            .then_some(())
    })
    .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_running_work_end_and_keeps_what_waits() {
    let mut hub = Hub::start(CONFIG).await;
    let running = begun(&hub).await;
    let waiting = hub.post("/hook", "").await;
    hub.signal(Signal::SIGTERM);
    eventually("the gateway takes no more", async || {
        match hub.client().post(hub.gateway("/hook")).send().await {
            Ok(answer) => (answer.status() == 503).then_some(()),
            Err(_closed) => Some(()),
        }
    })
    .await;
    hub.write("go", "");
    assert_eq!(hub.exited().await.code(), Some(0));
    hub.launch().await;
    assert_eq!(
        hub.get(&format!("/v1/invocations/{running}")).await["state"],
        "succeeded"
    );
    assert_eq!(hub.ended(&waiting).await["state"], "succeeded");
}

/// When the hub wrote the line of its log that holds this, in milliseconds since 1970.
fn logged_at(hub: &Hub, words: &str) -> i64 {
    let log = hub.lines("hub.log");
    let line = log.iter().find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("no {words} in {log:#?}"));
    let at = DateTime::from_str(
        line.split(' ').next().unwrap_or_default(),
        DateTimeFormat::DateTime,
    );
    let millis = at.map(|at| at.to_millis().expect("it is a time of today"));
    millis.unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_within_ten_seconds_whatever_runs() {
    let mut hub = Hub::start(&CONFIG.replace("20s", "2s")).await;
    let running = begun(&hub).await;
    hub.signal(Signal::SIGTERM);
    assert_eq!(hub.exited().await.code(), Some(0));
    // By the hub's own clock: what the system takes for its start and for its burial does not count.
    let took = logged_at(&hub, "INFO stopped") - logged_at(&hub, "1 run may end within 2s");
    assert!((2_000..10_000).contains(&took), "{took} ms");
    hub.write("go", "");
    hub.launch().await;
    assert_eq!(hub.ended(&running).await["state"], "succeeded");

    // With nothing to wait for it does not wait, though it might.
    hub.signal(Signal::SIGTERM);
    assert_eq!(hub.exited().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    // Longer than this test waits for its end.
    let mut hub = Hub::start(&CONFIG.replace("20s", "10m")).await;
    begun(&hub).await;
    hub.signal(Signal::SIGTERM);
    eventually("the drain has begun", async || {
        hub.lines("hub.log")
            .iter()
            .any(|line| line.contains("stopping"))
            .then_some(())
    })
    .await;
    hub.signal(Signal::SIGTERM);
    assert_ne!(hub.exited().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_on_the_same_data_names_the_first() {
    let hub = Hub::start(CONFIG).await;
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains("in use by the process"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_execution_mode_is_locked() {
    let mut hub = Hub::start(CONFIG).await;
    hub.signal(Signal::SIGTERM);
    assert_eq!(hub.exited().await.code(), Some(0));
    hub.configure(&CONFIG.replace("concurrency = 1", "execution = \"sync\""));
    let output = hub.refuses();
    assert_eq!(output.code, 2, "{output:?}");
    for word in ["wait", "async", "sync", "name"] {
        assert!(output.stderr.contains(word), "{output:?}");
    }
    // The way out: remove the function, start once, add it again.
    hub.configure("");
    hub.launch().await;
    hub.signal(Signal::SIGTERM);
    hub.exited().await;
    hub.configure(&CONFIG.replace("concurrency = 1", "execution = \"sync\""));
    hub.launch().await;
}
