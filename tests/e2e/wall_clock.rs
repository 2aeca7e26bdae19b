//! The real binary on a wall clock that jumps by hours and years, or shows 1970 (needs `faketime`): no tick fires
//! twice, and no function ends early.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use tripline_tests::{Hub, eventually, faketime};

const CONFIG: &str = r#"
[functions.tick]
command = ["true"]
[functions.slow]
command = ["sh", "-c", "until [ -e go ]; do sleep 0.1; done"]
timeout = "10m"
[functions.late]
command = ["sleep", "600"]
timeout = "2s"
grace = "1s"
[triggers.each_second]
kind = "cron"
function = "tick"
schedule = "* * * * * *"
misfire_deadline = "1h"
[triggers.slow]
kind = "http"
function = "slow"
route = "POST /slow"
auth = "none"
[triggers.late]
kind = "http"
function = "late"
route = "POST /late"
auth = "none"
"#;

/// A hub whose wall clock is off by what the file `clock` says.
async fn launch(hub: &mut Hub, library: &Path, offset: &str) {
    set(hub, offset);
    let library = library.display().to_string();
    let file = hub.path("clock").display().to_string();
    let env = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        // Only the wall clock is set; sleeps and deadlines go on as before.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_DONT_RESET", "1"),
    ];
    hub.launch_with(&env).await;
}

fn set(hub: &Hub, offset: &str) {
    // At once, so that nobody reads half of it.
    hub.write("clock.new", &format!("{offset}\n"));
    std::fs::rename(hub.path("clock.new"), hub.path("clock")).unwrap();
}

async fn ticks(hub: &Hub) -> Vec<Value> {
    hub.invocations("trigger=each_second").await
}

fn times(ticks: &[Value]) -> Vec<&str> {
    ticks
        .iter()
        .map(|one| one["event"]["time"].as_str().unwrap())
        .collect()
}

async fn ticks_in(hub: &Hub, years: &str, count: usize) {
    eventually(&format!("{count} ticks in {years}"), async || {
        let ticks = ticks(hub).await;
        let there = times(&ticks)
            .into_iter()
            .filter(|time| time.starts_with(years));
        (there.count() >= count).then_some(())
    })
    .await;
}

fn all_differ(ticks: &[Value]) {
    let times = times(ticks);
    let different: HashSet<&&str> = times.iter().collect();
    assert_eq!(different.len(), times.len(), "an instant fired twice");
    let ids: HashSet<&str> = ticks
        .iter()
        .map(|one| one["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), ticks.len());
}

/// Functions run and end, whatever the clock shows.
async fn works(hub: &Hub, ids: &mut HashSet<String>) {
    for _ in 0..5 {
        let id = hub.invoke("tick", "x").await;
        assert_eq!(hub.ended(&id).await["state"], "succeeded");
        assert!(ids.insert(id), "a RequestId was given twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_years_repeats_nothing_and_ends_nothing_early() {
    let Some(library) = faketime("a wall clock that jumps") else {
        return;
    };
    let mut ids = HashSet::new();
    let mut hub = Hub::prepare(CONFIG);
    launch(&mut hub, &library, "+0").await;
    let at_first = eventually("two ticks", async || {
        Some(ticks(&hub).await).filter(|all| all.len() >= 2)
    })
    .await;
    let slow = hub.post("/slow", "x").await;
    hub.running(&slow).await;
    works(&hub, &mut ids).await;

    // Three hours on: one tick stands for all that were missed, and the clock of deadlines is another one.
    set(&hub, "+3h");
    let after_3_hours = eventually("ticks three hours on", async || {
        Some(ticks(&hub).await).filter(|all| all.len() >= at_first.len() + 4)
    })
    .await;
    // There may be others, of a few seconds, on a machine that is busy.
    let stands_for_all = |one: &&Value| one["event"].to_string().contains("\"10000\"");
    assert_eq!(after_3_hours.iter().filter(stands_for_all).count(), 1);
    hub.running(&slow).await;
    let late = hub.post("/late", "x").await;
    hub.running(&late).await;

    // Ten years on, with a function half way to its deadline.
    set(&hub, "+10y");
    assert_eq!(hub.ended(&late).await["state"], "timed_out");
    ticks_in(&hub, "203", 3).await;
    hub.running(&slow).await;
    works(&hub, &mut ids).await;

    // In 1970 nothing fires that has fired, and all else works; also in a hub that starts there.
    set(&hub, "-56y");
    works(&hub, &mut ids).await;
    let before = ticks(&hub).await.len();
    hub.kill().await;
    launch(&mut hub, &library, "-56y").await;
    let error = eventually("the timer says that the clock is behind", async || {
        let trigger = hub.get("/v1/triggers/each_second").await;
        trigger["error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(error.contains("nothing fires until it is past"), "{error}");
    works(&hub, &mut ids).await;
    assert_eq!(ticks(&hub).await.len(), before, "a tick was fired again");

    // Put right again.
    set(&hub, "+10y");
    eventually("ticks go on", async || {
        (ticks(&hub).await.len() >= before + 3).then_some(())
    })
    .await;
    all_differ(&ticks(&hub).await);
    hub.write("go", "");
    assert_eq!(hub.ended(&slow).await["state"], "succeeded");
}
