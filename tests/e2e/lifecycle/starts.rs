//! Starts that fail: what waits goes on waiting, and nothing stays behind.

use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tripline_tests::{Hub, eventually};

/// More events than slots, until the file is there.
const CONFIG: &str = r#"
[hub]
drain = "60s"
[functions.wait]
command = ["sh", "-c", "while [ ! -e go ]; do sleep 0.05; done"]
concurrency = 1
[triggers.hook]
kind = "http"
function = "wait"
route = "POST /hook"
auth = "none"
"#;

/// How many wait.
const WAITING: usize = 40;

/// A hub that was stopped, of which so many invocations wait that were never started.
async fn stopped_with_a_queue() -> (Hub, Vec<String>) {
    let mut hub = Hub::start(CONFIG).await;
    let runs = hub.post("/hook", "").await;
    hub.running(&runs).await;
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        waiting.push(hub.post("/hook", "").await);
    }
    hub.signal(Signal::SIGTERM);
    eventually("the drain has begun", async || {
        let log = hub.lines("hub.log");
        log.iter()
            .any(|line| line.contains("stopping"))
            .then_some(())
    })
    .await;
    hub.write("go", "");
    assert_eq!(hub.exited().await.code(), Some(0));
    // From now on all of them could start at once.
    hub.configure(&CONFIG.replace("concurrency = 1", "concurrency = 100"));
    (hub, waiting)
}

/// What the journal says while no hub has it.
fn states(hub: &Hub) -> Value {
    let output = hub.cli(&["journal", "check", "data", "--json"]);
    let output: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    output["invocations"].clone()
}

fn all_wait(hub: &Hub) {
    assert_eq!(states(hub), json!({ "accepted": WAITING, "succeeded": 1 }));
}

async fn all_run(hub: &mut Hub, waiting: &[String]) {
    hub.launch().await;
    for id in waiting {
        assert_eq!(hub.ended(id).await["state"], "succeeded");
    }
}

/// The configuration with one line more for the admin listener, or another in its place.
fn with_admin(hub: &Hub, line: &str) -> String {
    let good = std::fs::read_to_string(hub.path("tripline.toml")).unwrap();
    let (gateway, admin) = good.split_once("[admin]").unwrap();
    format!(
        "{gateway}[admin]\n{line}\n{}",
        admin.replace("listen =", "# listen =")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_leaves_what_waits_waiting() {
    let (mut hub, waiting) = stopped_with_a_queue().await;
    all_wait(&hub);
    let good = std::fs::read_to_string(hub.path("tripline.toml")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listen = \"{}\"", taken.local_addr().unwrap());
    let tls = "listen = \"127.0.0.1:0\"\ntls = { cert = \"moved.pem\", key = \"moved.pem\" }";
    for (admin, words) in [(tls, "moved.pem"), (&*taken, "cannot listen")] {
        let bad = with_admin(&hub, admin);
        for _ in 0..3 {
            hub.write("tripline.toml", &bad);
            let output = hub.refuses();
            assert_eq!(output.code, 1, "{output:?}");
            assert!(output.stderr.contains(words), "{output:?}");
            hub.write("tripline.toml", &good);
            all_wait(&hub);
        }
    }
    all_run(&mut hub, &waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_say_that_it_is_ready_stops_as_others_do() {
    let (mut hub, waiting) = stopped_with_a_queue().await;
    let mut serve = hub.command(&["serve", "tripline.toml"]);
    serve.stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = eventually("it has ended", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(1));
    let left = states(&hub);
    assert_eq!(
        (left.get("lost"), left.get("running")),
        (None, None),
        "{left}"
    );
    all_run(&mut hub, &waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_refused_leaves_no_executor() {
    let (hub, _) = stopped_with_a_queue().await;
    hub.configure(&CONFIG.replace("concurrency = 1", "execution = \"sync\""));
    let output = hub.refuses();
    assert_eq!(output.code, 2, "{output:?}");
    eventually("no executor is left", async || {
        hub.executors().is_empty().then_some(())
    })
    .await;
    all_wait(&hub);
}
