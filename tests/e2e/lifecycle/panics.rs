//! A hub of which a part panics.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use tripline_tests::{eventually, skipped};

use super::{good_calls, hub, nothing_ran_twice};

/// The runtime's thread that waits for news of the network panics when the system does not let it.
const WAIT: &str = "epoll_wait,epoll_pwait";

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_go_on_whole_ends_and_the_next_life_knows_all() {
    let mut hub = hub().await;
    let mut receipts = good_calls(&hub, 3).await;
    let (inject, pid) = (
        format!("inject={WAIT}:error=EBADF:when=1"),
        hub.pid().to_string(),
    );
    let tracer = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &inject, "-p", &pid])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut tracer = match tracer {
        Ok(tracer) => tracer,
        Err(error) => return skipped("a panic of the hub", &format!("strace: {error}")),
    };
    // Its address is in a file that the next life writes anew.
    let (gateway, health) = (hub.gateway("/note"), hub.admin("/healthz"));
    eventually("nobody answers any more", async || {
        let answer = hub.client().post(&gateway).body("good").send().await.ok();
        let Some(answer) = answer else {
            return Some(());
        };
        let body: serde_json::Value = answer.json().await.unwrap_or_default();
        receipts.extend(body["request_id"].as_str().map(str::to_owned));
        None
    })
    .await;
    // Nor is anybody told that it is well.
    let asked = hub.client().get(&health).send().await;
    assert!(asked.is_err(), "{asked:?}");
    let ended = hub.exited().await;
    assert_eq!(ended.signal(), Some(6), "{ended}");
    let _already_gone = tracer.kill();
    tracer.wait().expect("it is ours to wait for");
    let log = hub.lines("hub.log").join("\n");
    assert!(log.contains("start it again, and it goes on"), "{log}");
    hub.launch().await;
    let asked = hub.client().get(hub.admin("/healthz")).send().await;
    assert!(asked.is_ok_and(|answer| answer.status().is_success()));
    for id in &receipts {
        assert_eq!(hub.ended(id).await["request_id"], id.as_str());
    }
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
}
