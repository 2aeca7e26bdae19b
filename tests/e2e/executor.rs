//! Functions outlive the hub; nothing outlives their executor.
//!
//! A run goes on over five `kill -9` of the hub, with each line once. What ended meanwhile ends as it truly ended,
//! with all that it wrote, even more than memory holds. What a dead executor left is swept, process trees included.
//! After an upgrade the old executor keeps its runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::Value;
use tripline_tests::{Hub, eventually, is_alive, processes_with};

/// Thirty lines, one every `PACE` seconds: for long enough to be found in the middle.
const COUNT: &str = r#"
[functions.count]
command = ["sh", "-c", '''
i=0
while [ $i -lt 30 ]; do i=$((i + 1)); echo "line $i"; sleep PACE; done
echo "$TRIPLINE_REQUEST_ID" >> ledger
''']
timeout = "10m"
[triggers.hook]
kind = "http"
function = "count"
route = "POST /hook"
auth = "none"
"#;

/// Texts of the lines that the function wrote.
async fn written(hub: &Hub, id: &str) -> Vec<String> {
    let lines = hub.log(id).await;
    let by_function = |line: &&Value| line["stream"] != "system";
    let text = |line: &Value| line["text"].as_str().unwrap_or_default().to_owned();
    lines.iter().filter(by_function).map(text).collect()
}

async fn wrote(hub: &Hub, id: &str, count: usize) {
    eventually(&format!("{count} lines are written"), async || {
        (written(hub, id).await.len() >= count).then_some(())
    })
    .await;
}

fn prepared(pace: &str) -> Hub {
    let hub = Hub::prepare(&COUNT.replace("PACE", pace));
    // What is there when a function starts can be written to; see `isolation`.
    hub.write("ledger", "");
    hub
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_a_line_a_second_goes_on_over_five_kills_of_the_hub() {
    let mut hub = prepared("1");
    hub.launch().await;
    let id = hub.post("/hook", "x").await;
    for life in 1..=5 {
        wrote(&hub, &id, life * 5).await;
        hub.kill().await;
        hub.launch().await;
        let found = hub.get(&format!("/v1/invocations/{id}")).await;
        assert_eq!(found["state"], "running", "life {life}: {found}");
    }
    let ended = hub.ended(&id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let expected: Vec<_> = (1..=30).map(|i| format!("line {i}")).collect();
    assert_eq!(
        written(&hub, &id).await,
        expected,
        "each line once, in order"
    );
    assert_eq!(hub.lines("ledger"), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_without_a_hub_ends_as_it_truly_ended() {
    let mut hub = Hub::start(
        r#"
[functions.slow]
command = ["sh", "-c", 'echo begun; while [ ! -e go ]; do sleep 0.02; done; echo over; exit 7']
[triggers.hook]
kind = "http"
function = "slow"
route = "POST /hook"
auth = "none"
"#,
    )
    .await;
    let id = hub.post("/hook", "x").await;
    wrote(&hub, &id, 1).await;
    hub.kill().await;
    hub.write("go", "");
    let mark = format!("TRIPLINE_REQUEST_ID={id}");
    eventually("the function has ended", async || {
        processes_with(&mark).is_empty().then_some(())
    })
    .await;
    hub.launch().await;
    let ended = hub.ended(&id).await;
    assert_eq!(
        (&ended["state"], &ended["exit_code"]),
        (&"failed".into(), &7.into()),
        "{ended}"
    );
    assert_eq!(written(&hub, &id).await, ["begun", "over"]);
}

/// Writes all the time; once the hub is dead, more than the 256 KiB that an executor keeps in memory, and ends.
const TALKS: &str = r#"
[functions.talks]
command = ["sh", "-c", '''
i=0
talk() { i=$((i + 1)); seq -f "line %.0f and some more words behind it" $((i * 100 - 99)) $((i * 100)); }
while [ ! -e dead ]; do talk; sleep 0.01; done
n=0
while [ $n -lt 200 ]; do talk; n=$((n + 1)); done
echo "$((i * 100)) lines"
exit 7
''']
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_memory_had_no_room_for_without_a_hub_is_there_once_and_in_order() {
    let mut hub = Hub::start(TALKS).await;
    let id = hub.invoke("talks", "").await;
    wrote(&hub, &id, 500).await;
    hub.kill().await;
    hub.write("dead", "");
    let mark = format!("TRIPLINE_REQUEST_ID={id}");
    eventually("the function has ended", async || {
        processes_with(&mark).is_empty().then_some(())
    })
    .await;
    let spill = hub.executors()[0].dir.join("spill").join(&id);
    eventually("lines have gone to the disk", async || {
        let length = fs::metadata(&spill).ok()?.len();
        (length > 256 << 10).then_some(())
    })
    .await;
    hub.launch().await;
    let ended = hub.ended(&id).await;
    assert_eq!(ended["exit_code"], 7, "{ended}");
    let mut lines = written(&hub, &id).await;
    let last = lines.pop().expect("there are lines");
    assert_eq!(last, format!("{} lines", lines.len()));
    for (index, line) in lines.iter().enumerate() {
        let expected = format!("line {} and some more words behind it", index + 1);
        assert_eq!(*line, expected, "each line once, in order");
    }
    eventually("the disk has its room back", async || {
        (!spill.exists()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_hub_leaves_what_runs_to_the_next() {
    let mut hub = prepared("0.2");
    let config = hub.lines("tripline.toml").join("\n");
    hub.write("tripline.toml", &format!("[hub]\ndrain = \"0s\"\n{config}"));
    hub.launch().await;
    let id = hub.post("/hook", "x").await;
    wrote(&hub, &id, 3).await;
    hub.signal(Signal::SIGTERM);
    assert!(hub.exited().await.success());
    hub.launch().await;
    let ended = hub.ended(&id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(written(&hub, &id).await.len(), 30);

    // With nothing to do, nothing stays behind.
    let executors = hub.executors();
    assert_eq!(executors.len(), 1);
    hub.signal(Signal::SIGTERM);
    assert!(hub.exited().await.success());
    eventually("the executor has ended", async || {
        (!is_alive(executors[0].pid)).then_some(())
    })
    .await;
}

/// Leaves a grandchild behind that has its own session and holds no pipe.
const TREE: &str = r#"
[functions.tree]
command = ["sh", "-c", '''
echo "$TRIPLINE_REQUEST_ID" >> ledger
setsid sh -c 'exec >/dev/null 2>&1 </dev/null; exec sleep 600' &
echo ready
sleep 600
''']
concurrency = 2
timeout = "1h"
[triggers.hook]
kind = "http"
function = "tree"
route = "POST /hook"
auth = "none"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_takes_its_functions_along() {
    let mut hub = Hub::prepare(TREE);
    hub.write("ledger", "");
    hub.launch().await;
    let ids = [hub.post("/hook", "x").await, hub.post("/hook", "y").await];
    for id in &ids {
        wrote(&hub, id, 1).await;
    }
    let first = hub.executors();
    first[0].kill();
    for id in &ids {
        let ended = hub.ended(id).await;
        assert_eq!(
            (&ended["state"], &ended["reason"]),
            (&"lost".into(), &"executor_died".into())
        );
        let left = processes_with(&format!("TRIPLINE_REQUEST_ID={id}"));
        assert!(left.is_empty(), "{left:?} are left of {id}");
        let log = hub.log(id).await;
        let words = log.iter().map(|line| line["text"].as_str().unwrap());
        let words: Vec<_> = words.map(|text| text.split(' ').next().unwrap()).collect();
        assert_eq!(words, ["START", "ready", "ERROR", "END", "Report"]);
    }
    // Another one takes over, and what ran is not run again.
    let third = hub.post("/hook", "z").await;
    wrote(&hub, &third, 1).await;
    assert_ne!(hub.executors()[0].pid, first[0].pid);
    assert_eq!(hub.lines("ledger").len(), 3, "something ran twice");

    // Both gone at once: the next life finds out, before it starts anything.
    hub.executors()[0].kill();
    hub.kill().await;
    hub.launch().await;
    assert_eq!(hub.ended(&third).await["state"], "lost");
    let left = processes_with(&format!("TRIPLINE_REQUEST_ID={third}"));
    assert!(left.is_empty(), "{left:?} are left");
    assert_eq!(hub.lines("ledger").len(), 3, "something ran twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_hub_leaves_the_old_executor_its_runs() {
    let mut hub = prepared("0.2");
    hub.launch().await;
    let old_run = hub.post("/hook", "x").await;
    wrote(&hub, &old_run, 2).await;
    let old = hub.executors();
    hub.kill().await;

    // Another build: the same program with a byte more at its end.
    let upgraded = hub.path("tripline-upgraded");
    fs::copy(Hub::binary(), &upgraded).expect("there is room for a copy");
    let mut file = fs::File::options()
        .append(true)
        .open(&upgraded)
        .expect("the copy is ours");
    file.write_all(b"\n").expect("there is room for a byte");
    drop(file);
    hub.upgrade(&upgraded);
    hub.launch().await;

    let new_run = hub.post("/hook", "y").await;
    wrote(&hub, &new_run, 1).await;
    assert_eq!(hub.executors().len(), 2, "each build has its own");
    for id in [&old_run, &new_run] {
        let ended = hub.ended(id).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        assert_eq!(written(&hub, id).await.len(), 30);
    }
    eventually("the old executor has ended", async || {
        (!is_alive(old[0].pid)).then_some(())
    })
    .await;
    assert_eq!(hub.lines("ledger"), [old_run, new_run]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_stand_back_behind_the_hub() {
    let hub = Hub::start(
        r#"
[functions.how]
command = ["sh", "-c", "nice"]
[triggers.hook]
kind = "http"
function = "how"
route = "POST /hook"
auth = "none"
"#,
    )
    .await;
    let id = hub.post("/hook", "x").await;
    hub.ended(&id).await;
    let own = std::process::Command::new("nice").output().unwrap();
    let own: i32 = String::from_utf8_lossy(&own.stdout).trim().parse().unwrap();
    let behind = (own + 10).min(19);
    assert_eq!(written(&hub, &id).await, [behind.to_string()]);
}

/// Replaces the hub's program by a script that starts it, whose words follow `exec`.
fn start_by(hub: &mut Hub, words: &str) {
    let script = hub.path("hub.sh");
    let text = format!(
        "#!/bin/sh\nprogram='{}'\nexec {words}\n",
        Hub::binary().display()
    );
    fs::write(&script, text).expect("the folder can be written");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("it is ours");
    hub.upgrade(&script);
}

/// What `/proc/PID/stat` says behind the name: state, parent, group, session, terminal, ...
fn stat(pid: i32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is alive");
    let behind = stat.rsplit(") ").next().unwrap_or_default();
    behind.split(' ').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_do_not_reach_the_terminal_of_the_hub() {
    let mut hub = Hub::prepare(
        r#"
[functions.types]
command = ["sh", "-c", 'if true <>/dev/tty; then echo reached; else echo none; fi']
"#,
    );
    // `script` gives it a terminal; at the end of the test it goes, and the hub with it.
    start_by(&mut hub, r#"script -qec "'$program' $1 $2" /dev/null"#);
    hub.launch().await;
    let executor = &hub.executors()[0];
    let parent: i32 = stat(executor.pid)[1].parse().expect("a number");
    assert_ne!(stat(parent)[4], "0", "the hub has no terminal");
    let id = hub.invoke("types", "x").await;
    hub.ended(&id).await;
    let lines = written(&hub, &id).await;
    assert!(lines.contains(&"none".to_owned()), "{lines:?}");
    // A Ctrl-C for the hub does not reach it either.
    assert_eq!(stat(executor.pid)[3], executor.pid.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_takes_all_the_descriptors_that_it_may_have() {
    let mut hub = Hub::prepare(
        r#"
[functions.patient]
command = ["sh", "-c", 'echo ready; while [ ! -e go ]; do sleep 0.1; done; ulimit -Sn']
concurrency = 30
timeout = "5m"
"#,
    );
    start_by(&mut hub, r#"prlimit --nofile=100:4000 "$program" "$@""#);
    hub.launch().await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(hub.invoke("patient", "x").await);
    }
    // All at the same time.
    for id in &ids {
        wrote(&hub, id, 1).await;
    }
    hub.write("go", "");
    for id in &ids {
        let ended = hub.ended(id).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        assert_eq!(
            written(&hub, id).await,
            ["ready", "100"],
            "functions get what was given"
        );
    }
}
