//! The hub as a process: signals in good and bad moments, failed starts, a machine that runs out of something, disks
//! that fail, and a data directory that somebody else changes.
//!
//! `signals` has SIGTERM under load and while starting, storms of SIGHUP, Ctrl-C and a halt; `starts` the starts of
//! functions that fail, which leave waiting events waiting; `panics` a part that panics. `resources` takes away
//! descriptors, threads, memory and places in the queue, and looks at an executor after many runs. `slow_disk` and
//! `disks` have a slow disk and, as root, real ones: dead, full, without inodes, read-only, or unable to keep what
//! they took (power cuts are in `tests/crash`). `data_dir` and `copies` have two hubs at once, a directory that is
//! removed, closed to the hub or copied, and the results of `journal check`.

mod copies;
mod data_dir;
mod disks;
mod panics;
mod resources;
mod signals;
mod slow_disk;
mod starts;

use serde_json::Value;
use tripline_tests::{Answer, Hub, Raw};

/// Each run writes its RequestId into a ledger that is none of the hub's files.
const CONFIG: &str = r#"
[functions.note]
command = ["sh", "-c", "echo $TRIPLINE_REQUEST_ID >> ledger"]
concurrency = 2
[functions.stay]
command = ["sleep", "600"]
concurrency = 1
max_queued = 3
max_event_age = "2s"
[triggers.note]
kind = "http"
function = "note"
route = "POST /note"
auth = "none"
[triggers.stay]
kind = "http"
function = "stay"
route = "POST /stay"
auth = "none"
"#;

async fn hub() -> Hub {
    hub_with("", CONFIG).await
}

async fn hub_with(bounds: &str, config: &str) -> Hub {
    let mut hub = Hub::prepare_behind(bounds, config);
    // Functions make no files beside the data directory.
    hub.write("ledger", "");
    hub.launch().await;
    hub
}

/// `host:port` of the gateway.
fn address(hub: &Hub) -> String {
    hub.gateway("").replace("http://", "")
}

/// A call of the gateway's route at `path`.
fn call(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ngood")
}

/// Calls once, on a connection of its own.
async fn answer_to(hub: &Hub, path: &str) -> Answer {
    let mut raw = Raw::open(&address(hub)).await;
    raw.send(call(path)).await;
    raw.answer().await.expect("the call is answered")
}

/// The receipt of an accepted call.
fn receipt(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    let body = answer.json();
    body["request_id"]
        .as_str()
        .expect("it has an id")
        .to_owned()
}

/// Calls `count` times, and waits until all of it has run.
async fn good_calls(hub: &Hub, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(receipt(&answer_to(hub, "/note").await));
    }
    for id in &ids {
        assert_eq!(hub.ended(id).await["state"], "succeeded");
    }
    ids
}

/// Nothing was started twice, and everything in the ledger has a record.
async fn nothing_ran_twice(hub: &Hub) {
    let mut ran = hub.lines("ledger");
    let runs = ran.len();
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), runs, "a run is there twice");
    for id in ran {
        let found = hub.get(&format!("/v1/invocations/{id}")).await;
        assert_eq!(found["request_id"], Value::from(id));
    }
}

fn no_panic(hub: &Hub) {
    let log = hub.lines("hub.log").join("\n");
    assert!(!log.contains("panicked"), "{log}");
}
