//! Disks that fail under a hub: dead, full, read-only, out of inodes, or unable to keep what they took. All are real file
//! systems, which takes root; elsewhere these tests are skipped, aloud. Power cuts are in `tests/crash`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tripline_tests::{Disk, Hub, eventually, time_goes_by};

use super::{CONFIG, good_calls, nothing_ran_twice};

/// More lines than a hub needs to say that its disk is full, however often it is asked.
const MOST_LINES: usize = 100;

/// An event that a little room is not enough for.
static LARGE: [u8; 200_000] = [b'x'; 200_000];

/// `stay` goes on until there is a file, notes that it was there to the end, and lets many wait.
fn config() -> String {
    let until_told = r#"["sh", "-c", "while [ ! -e go ]; do sleep 0.05; done; echo $TRIPLINE_REQUEST_ID >> ledger"]"#;
    let config = format!("[hub]\ndrain = \"1s\"\n{CONFIG}");
    let config = config.replace(r#"["sleep", "600"]"#, until_told);
    config.replace("max_queued = 3\nmax_event_age = \"2s\"\n", "")
}

/// A hub whose data is on this disk, and whose functions' ledger is not.
async fn hub_on(disk: impl FnOnce(&Path) -> Option<Disk>) -> Option<(Hub, Disk)> {
    let mut hub = Hub::prepare(&config());
    let disk = disk(&hub.path("data"))?;
    hub.write("ledger", "");
    hub.launch().await;
    Some((hub, disk))
}

/// A call's status, and the receipt or problem that it brought; `None` if nobody answers.
async fn call(hub: &Hub, path: &str, body: &[u8]) -> Option<(u16, Value)> {
    let request = hub.client().post(hub.gateway(path)).body(body.to_owned());
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

/// Receipts of so many good calls, and a run that goes on until it may end.
async fn with_a_run(hub: &Hub, calls: usize) -> (Vec<String>, String) {
    let receipts = good_calls(hub, calls).await;
    let stays = hub.invoke("stay", "x").await;
    hub.begun(&stays).await;
    (receipts, stays)
}

/// After the disk works again: every receipt is known, calls go well, and nothing of the ledger is there twice.
async fn all_is_known(hub: &Hub, receipts: &[String]) {
    for id in receipts {
        let ended = hub.ended(id).await;
        assert_eq!(ended["request_id"], id.as_str(), "{ended}");
    }
    good_calls(hub, 1).await;
    nothing_ran_twice(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_dead_disk_nothing_is_promised_and_the_hub_ends() {
    let test = "on_a_dead_disk_nothing_is_promised_and_the_hub_ends";
    let Some((mut hub, disk)) = hub_on(|at| Disk::mount(test, 200, at)).await else {
        return;
    };
    let (mut receipts, stays) = with_a_run(&hub, 5).await;
    let executors = hub.executors();
    let gateway = hub.gateway("/note");
    disk.cut_power();
    // Its address is on that disk, too.
    let answer = hub.client().post(&gateway).body("x").send().await;
    if let Ok(answer) = answer {
        assert_eq!(answer.status().as_u16(), 503);
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["accepted"], "unknown", "{problem}");
    }
    assert_eq!(hub.exited().await.code(), Some(1));
    // What ran goes on without the hub and its disk.
    hub.write("go", "");
    eventually("the function has come to its end", async || {
        hub.lines("ledger").contains(&stays).then_some(())
    })
    .await;
    // The machine is mended only after everybody on it has gone.
    executors.iter().for_each(|executor| executor.kill());
    disk.repair().await;
    hub.launch().await;
    let ended = hub.ended(&stays).await;
    assert!(
        ["lost", "succeeded"].contains(&ended["state"].as_str().unwrap()),
        "{ended}"
    );
    receipts.push(stays);
    all_is_known(&hub, &receipts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_takes_no_lines_that_are_some_seconds_old() {
    let test = "a_power_cut_takes_no_lines_that_are_some_seconds_old";
    let Some((mut hub, disk)) = hub_on(|at| Disk::mount(test, 200, at)).await else {
        return;
    };
    // One short log: nothing else would ever bring it to the disk.
    let ids = good_calls(&hub, 1).await;
    let written = hub.log(&ids[0]).await;
    assert!(!written.is_empty());
    time_goes_by(Duration::from_secs(4), "lines are to be some seconds old").await;
    let executors = hub.executors();
    hub.halt().await;
    disk.cut_power();
    executors.iter().for_each(|executor| executor.kill());
    hub.kill().await;
    disk.repair().await;
    hub.launch().await;
    assert_eq!(hub.log(&ids[0]).await, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_events_keeps_ends_and_heals() {
    let test = "a_full_disk_refuses_events_keeps_ends_and_heals";
    let Some((hub, _disk)) = hub_on(|at| Disk::mount(test, 200, at)).await else {
        return;
    };
    let (mut receipts, stays) = with_a_run(&hub, 3).await;
    let ballast = hub.path("data/ballast");
    fill_until_refused(&hub, &ballast).await;
    // What runs has its end, and it is kept.
    hub.write("go", "");
    assert_eq!(hub.ended(&stays).await["state"], "succeeded");
    receipts.push(stays);
    let lines = hub.lines("hub.log").len();
    assert!(lines < MOST_LINES, "{lines} lines about one full disk");
    fs::remove_file(&ballast).unwrap();
    eventually("the hub takes events again", async || {
        (call(&hub, "/stay", &LARGE).await?.0 == 202).then_some(())
    })
    .await;
    all_is_known(&hub, &receipts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_starts_on_a_full_disk_and_records_the_end_of_what_ran() {
    let test = "a_hub_starts_on_a_full_disk_and_records_the_end_of_what_ran";
    let Some((mut hub, _disk)) = hub_on(|at| Disk::mount(test, 200, at)).await else {
        return;
    };
    let (mut receipts, stays) = with_a_run(&hub, 3).await;
    let ballast = hub.path("data/ballast");
    fill_until_refused(&hub, &ballast).await;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        hub.signal(signal);
        hub.exited().await;
        // A hub that stops holds on to its room; one that dies cannot.
        if signal == Signal::SIGTERM {
            fill(&ballast);
        }
        hub.launch_unready(&[]).await;
        let ready = hub.client().get(hub.admin("/readyz")).send().await.unwrap();
        assert_eq!(ready.status().as_u16(), 503);
        let text = ready.text().await.unwrap();
        assert!(text.contains("storage_full"), "{text}");
        hub.running(&stays).await;
    }
    hub.write("go", "");
    assert_eq!(hub.ended(&stays).await["state"], "succeeded");
    receipts.push(stays);
    fs::remove_file(&ballast).unwrap();
    eventually("the hub takes events again", async || {
        (call(&hub, "/note", b"x").await?.0 == 202).then_some(())
    })
    .await;
    all_is_known(&hub, &receipts).await;
}

/// Takes all the room there is until an event is refused.
async fn fill_until_refused(hub: &Hub, ballast: &Path) {
    fill(ballast);
    let refused = eventually("an event finds no room", async || {
        fill(ballast);
        let (status, problem) = call(hub, "/stay", &LARGE).await?;
        (status != 202).then_some((status, problem["accepted"].clone()))
    })
    .await;
    assert_eq!(refused, (503, "no".into()));
}

/// Takes all the room there is.
fn fill(ballast: &Path) {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(ballast)
        .unwrap();
    for piece in [1 << 20, 1 << 16, 1 << 12] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
    // What is only in memory is not on the disk.
    let _full = file.sync_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_inodes_a_hub_goes_on() {
    let test = "without_inodes_a_hub_goes_on";
    let Some((mut hub, _disk)) = hub_on(|at| Disk::mount(test, 200, at)).await else {
        return;
    };
    let mut receipts = good_calls(&hub, 2).await;
    let crumbs = hub.path("data/crumbs");
    fs::create_dir(&crumbs).unwrap();
    let mut number = 0;
    while File::create(crumbs.join(number.to_string())).is_ok() {
        number += 1;
    }
    // The journal needs no new file. A run needs a scratch directory, and has one left or says that it has none.
    for _ in 0..5 {
        let id = hub.post("/note", "x").await;
        let ended = hub.ended(&id).await;
        assert!(
            ["succeeded", "failed"].contains(&ended["state"].as_str().unwrap()),
            "{ended}"
        );
        receipts.push(id);
    }
    fs::remove_dir_all(&crumbs).unwrap();
    hub.kill().await;
    hub.launch().await;
    all_is_known(&hub, &receipts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_disk_that_became_read_only_says_why() {
    let test = "a_start_on_a_disk_that_became_read_only_says_why";
    let Some((mut hub, disk)) = hub_on(|at| Disk::mount(test, 200, at)).await else {
        return;
    };
    let receipts = good_calls(&hub, 3).await;
    // A file that is open for writing keeps a file system from that: as the kernel does it after an error.
    hub.kill().await;
    for executor in hub.executors() {
        executor.kill();
    }
    eventually("nobody writes any more", async || {
        disk.try_remount("ro").then_some(())
    })
    .await;
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
    assert!(disk.try_remount("rw"));
    hub.launch().await;
    all_is_known(&hub, &receipts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_keep_what_it_took_is_believed_the_first_time() {
    let test = "a_disk_that_cannot_keep_what_it_took_is_believed_the_first_time";
    let Some((mut hub, disk)) = hub_on(|at| Disk::mount_promising(test, 256, 90, at)).await else {
        return;
    };
    // Writes succeed until the room behind is used up; then a flush fails, and the next would succeed with the data gone.
    let large = vec![b'x'; 900_000];
    let mut receipts = Vec::new();
    let failed = eventually("a flush fails", async || {
        match call(&hub, "/stay", &large).await {
            Some((202, receipt)) => {
                receipts.push(receipt["request_id"].as_str().unwrap().to_owned());
                None
            }
            other => Some(other),
        }
    })
    .await;
    // It may be the flush of this event that failed, or one before it, in the background.
    if let Some((status, problem)) = failed {
        assert_eq!(status, 503);
        let accepted = problem["accepted"].as_str().unwrap();
        assert!(["no", "unknown"].contains(&accepted), "{accepted}");
    }
    assert_eq!(
        hub.exited().await.code(),
        Some(1),
        "it goes on after a failed flush"
    );
    let log = hub.lines("hub.log").join("\n");
    assert!(
        log.contains("Input/output error") || log.contains("disk I/O error"),
        "{log}"
    );
    let count = receipts.len();
    assert!(count > 10, "{count} receipts before it failed");
    // Nothing that was answered was only in memory: it is there on the mended disk.
    hub.executors().iter().for_each(|executor| executor.kill());
    disk.enlarge(300);
    disk.repair().await;
    is_whole(&hub);
    hub.write("go", "");
    hub.launch().await;
    all_is_known(&hub, &receipts).await;
    hub.signal(Signal::SIGTERM);
    hub.exited().await;
    is_whole(&hub);
}

/// With the hub stopped: nothing of its journal is lost.
fn is_whole(hub: &Hub) {
    let found = hub.cli(&["journal", "check"]);
    assert_eq!(found.code, 0, "{found:?}");
}
