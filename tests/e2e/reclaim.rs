//! Hostile functions: whatever they do, their end is recorded in time, and nothing of them is left.
//!
//! They fork, become daemons, ignore SIGTERM, flood their log, fill their scratch, use up memory, take more than
//! their share of processor time, hold pipes open, or cannot be killed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::time::Instant;
use tripline_tests::{Hub, Vitals, eventually, processes_with, skipped};

/// The event is the script.
const CONFIG: &str = r#"
[functions.script]
command = ["sh", "-s"]
timeout = "2s"
grace = "200ms"
output = "1MiB"
concurrency = 1
[functions.patient]
command = ["sh", "-s"]
timeout = "10m"
output = "4MiB"
grace = "200ms"
concurrency = 1
[functions.bounded]
command = ["sh", "-s"]
timeout = "20s"
memory = "64MiB"
pids = 24
scratch = "4MiB"
concurrency = 1
[functions.few]
command = ["sh", "-s"]
timeout = "20s"
open_files = 8
"#;

/// Calls the function with a script and waits for its end, after which nothing of it may be alive, from the first moment on.
async fn run(hub: &Hub, function: &str, script: &str) -> Value {
    let id = hub.invoke(function, script).await;
    let ended = hub.ended(&id).await;
    hub.reclaimed(&id).await;
    ended
}

fn is(ended: &Value, state: &str, code: u16) {
    let found = (&ended["state"], &ended["status_code"]);
    assert_eq!(found, (&json!(state), &json!(code)), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_tree_survives_any_end() {
    let hub = Hub::start(CONFIG).await;
    let daemon = "setsid sh -c 'trap \"\" TERM; exec >/dev/null 2>&1; sleep 600 & sleep 600' &";
    let ended = run(&hub, "script", &format!("{daemon} exit 3")).await;
    is(&ended, "failed", 439);
    assert_eq!(ended["exit_code"], 3);
    is(
        &run(&hub, "script", &format!("{daemon} exit 0")).await,
        "succeeded",
        200,
    );
    is(
        &run(&hub, "script", &format!("{daemon} kill -9 $$")).await,
        "failed",
        439,
    );
    is(
        &run(&hub, "script", &format!("{daemon} sleep 600")).await,
        "timed_out",
        433,
    );
    // A grandchild that holds the pipes does not hold up the end.
    is(
        &run(&hub, "script", "sleep 600 & exit 0").await,
        "succeeded",
        200,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deaf_and_mute_functions_end_in_time() {
    let hub = Hub::start(CONFIG).await;
    let deaf = "trap '' TERM INT HUP; while :; do sleep 0.05; done";
    is(&run(&hub, "script", deaf).await, "timed_out", 433);
    let mute = "exec >&- 2>&- <&-; while :; do sleep 0.05; done";
    is(&run(&hub, "script", mute).await, "timed_out", 433);

    let id = hub.invoke("patient", deaf).await;
    hub.running(&id).await;
    assert_eq!(hub.cli(&["terminate", &id]).code, 0);
    is(&hub.ended(&id).await, "terminated", 499);
    hub.reclaimed(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polite_request_may_still_end_well() {
    let hub = Hub::start(CONFIG).await;
    let polite = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let id = hub.invoke("patient", polite).await;
    eventually("it listens", async || {
        let log = hub.log(&id).await;
        log.iter().any(|line| line["text"] == "ready").then_some(())
    })
    .await;
    // Behind it waits one that will never start.
    let waiting = hub.invoke("patient", "echo started >> /dev/null").await;
    assert_eq!(hub.cli(&["terminate", &waiting]).code, 0);
    let cancelled = hub.ended(&waiting).await;
    is(&cancelled, "cancelled", 499);
    assert_eq!(cancelled["ran"], "no", "{cancelled}");
    assert_eq!(hub.cli(&["terminate", "--grace", &id]).code, 0);
    is(&hub.ended(&id).await, "succeeded", 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_kept() {
    let hub = Hub::start(CONFIG).await;
    // `tail` keeps all of a line that never ends.
    let hungry = run(
        &hub,
        "bounded",
        "head -c 300000000 /dev/zero | tail -n 1 | wc -c",
    )
    .await;
    is(&hungry, "failed", 434);
    assert_eq!(hungry["reason"], "memory_limit");
    let id = hungry["request_id"].as_str().unwrap();
    let log = hub.log(id).await;
    let report = log.last().unwrap()["text"].as_str().unwrap();
    assert_eq!(hungry["memory_limit_bytes"], 64 << 20);
    assert!(
        report.contains(" Memory:64MB ") && report.ends_with(" Code:434"),
        "{report}"
    );

    let fills = "dd if=/dev/zero of=$TRIPLINE_SCRATCH/full bs=1M count=64 2>/dev/null; sleep 600";
    let filled = run(&hub, "bounded", fills).await;
    assert_eq!(
        (&filled["state"], &filled["reason"]),
        (&json!("failed"), &json!("scratch_limit"))
    );

    let bomb = "f() { f | f & }; f; sleep 600";
    let id = hub.invoke("bounded", bomb).await;
    // The hub does not notice: it goes on answering.
    let other = hub.invoke("script", "echo fine").await;
    is(&hub.ended(&other).await, "succeeded", 200);
    let ended = hub.ended(&id).await;
    assert_ne!(ended["state"], "succeeded", "{ended}");
    hub.reclaimed(&id).await;
}

/// Two functions that take all the processor time they get, on two processors if there are as many.
const BUSY: &str = r#"
[functions.bounded]
command = ["sh", "-c", "while :; do :; done & while :; do :; done"]
cpu = 0.25
[functions.free]
command = ["sh", "-c", "while :; do :; done & while :; do :; done"]
"#;

/// Seconds of processor time that the living processes of a run have had.
fn processor_time(id: &str) -> f64 {
    let ticks = |pid: i32| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let behind = stat.rsplit(") ").next().unwrap_or_default();
        let both = behind.split(' ').skip(11).take(2);
        both.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    };
    let tree = processes_with(&format!("TRIPLINE_REQUEST_ID={id}"));
    // The kernel shows hundredths of a second to everybody, whatever it counts in.
    tree.into_iter().map(ticks).sum::<u64>() as f64 / 100.0
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_is_bounded() {
    let hub = Hub::start(BUSY).await;
    let doctor = hub.cli(&["doctor", "--json"]);
    let doctor: Value = serde_json::from_str(&doctor.stdout).expect("it is JSON");
    if doctor["isolation"]["cpu"] != true {
        return skipped(
            "a bound of processor time",
            &doctor["isolation"].to_string(),
        );
    }
    let id = hub.invoke("bounded", "").await;
    hub.begun(&id).await;
    // However slow the machine is, what a run takes is no more than its share of the time that goes by, but for the
    // share of a period or two at either end.
    let (begun, before) = (Instant::now(), processor_time(&id));
    let took = eventually("it took half a second", async || {
        let took = processor_time(&id) - before;
        (took >= 0.5).then_some(took)
    })
    .await;
    let share = 0.25 * begun.elapsed().as_secs_f64() + 0.1;
    assert!(took <= share, "{took} s instead of {share} s");
    assert_eq!(hub.cli(&["terminate", &id]).code, 0);
    hub.ended(&id).await;

    // Without the bound the same has more, in one second or another.
    let id = hub.invoke("free", "").await;
    hub.begun(&id).await;
    let (mut begun, mut before) = (Instant::now(), processor_time(&id));
    eventually("it takes more than that share", async || {
        let (took, elapsed) = (processor_time(&id) - before, begun.elapsed().as_secs_f64());
        if elapsed >= 1.0 {
            (begun, before) = (Instant::now(), before + took);
        }
        (took > 0.25 * elapsed + 0.1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_are_bounded() {
    let hub = Hub::start(CONFIG).await;
    let texts = async |ended: &Value| {
        let log = hub.log(ended["request_id"].as_str().unwrap()).await;
        let of_function = log.into_iter().filter(|line| line["stream"] != "system");
        of_function
            .map(|line| line["text"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // With stdin, stdout and stderr these are eight, and then ten.
    let files = "exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null; echo eight
        exec 8</dev/null 9</dev/null; echo ten";
    let free = run(&hub, "script", files).await;
    is(&free, "succeeded", 200);
    assert_eq!(texts(&free).await, ["eight", "ten"]);
    // It is set right after the start, and what the function starts before that has it too.
    let bounded = format!("(until test -e go; do sleep 0.02; done; {files}) & echo ready; wait $!");
    let id = hub.invoke("few", bounded).await;
    hub.line(&id, |text| text == "ready").await;
    hub.write("go", "");
    let ended = hub.ended(&id).await;
    hub.reclaimed(&id).await;
    is(&ended, "failed", 439);
    let lines = texts(&ended).await;
    assert!(
        lines.len() == 3 && lines.contains(&"eight".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|text| text.ends_with("Too many open files")),
        "{lines:?}"
    );
}

/// What a run may cost while it goes on, and after it.
#[derive(Default, Debug)]
struct Cost {
    executor_kib: u64,
    hub_kib: u64,
    spill: u64,
    logs: u64,
}

impl Cost {
    fn look(&mut self, hub: &Hub) {
        let executors = hub.executors();
        let resident = executors.iter().map(|one| one.resident_bytes() / 1024);
        self.executor_kib = self.executor_kib.max(resident.sum());
        self.hub_kib = self.hub_kib.max(Vitals::of(hub.pid()).rss_kib);
        let spilled = executors.iter().map(|one| size(&one.dir.join("spill")));
        self.spill = self.spill.max(spilled.sum());
        self.logs = self.logs.max(size(&hub.path("data/logs")));
    }
}

/// Bytes on disk of the files in a folder.
fn size(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let blocks = files.filter_map(|file| Some(file.metadata().ok()?.blocks()));
    blocks.sum::<u64>() * 512
}

/// Lines of 16 bytes, and empty ones, of which each costs more than the byte that the function wrote.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_costs_bounded_memory_and_disk() {
    for flood in [
        "yes 0123456789abcdef | head -c 1073741824",
        "yes '' | head -c 268435456",
    ] {
        let hub = Hub::start(CONFIG).await;
        let id = hub.invoke("patient", flood).await;
        let mut most = Cost::default();
        let ended = eventually("all has flown", async || {
            most.look(&hub);
            let found = hub.get(&format!("/v1/invocations/{id}")).await;
            let over = !matches!(found["state"].as_str()?, "accepted" | "running");
            over.then_some(found)
        })
        .await;
        most.look(&hub);
        is(&ended, "succeeded", 200);
        let memory = most.executor_kib.max(most.hub_kib);
        assert!(memory < 100 << 10, "{flood}: {most:?}");
        // Four MiB are kept.
        assert!(most.spill.max(most.logs) < 32 << 20, "{flood}: {most:?}");
        let log = hub.log(&id).await;
        let texts = log.iter().filter_map(|line| line["text"].as_str());
        let kept: usize = texts.clone().map(str::len).sum();
        assert!(kept <= (4 << 20) + 4096, "{kept} bytes are kept");
        let cut = texts.filter(|text| text.starts_with("[log cut"));
        assert_eq!(cut.count(), 1);
    }
}

/// A v1 freezer holds processes so that not even SIGKILL ends them.
struct Freezer(PathBuf);

impl Freezer {
    fn make(name: &str) -> Option<Self> {
        let dir = PathBuf::from("/sys/fs/cgroup/freezer").join(name);
        fs::create_dir(&dir).ok()?;
        Some(Self(dir))
    }

    fn set(&self, file: &str, value: &str) {
        fs::write(self.0.join(file), value).expect("the freezer is ours");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_die_keeps_its_slot() {
    let test = "a process that cannot die";
    let Some(freezer) = Freezer::make(&format!("tripline-e2e-{}", std::process::id())) else {
        return skipped(
            test,
            "no v1 freezer can be had here (it takes root and a v1 hierarchy)",
        );
    };
    let hub = Hub::start(CONFIG).await;
    let id = hub.invoke("patient", "echo ready; sleep 600").await;
    let mark = format!("TRIPLINE_REQUEST_ID={id}");
    let pids = eventually("it runs with its child", async || {
        let pids = processes_with(&mark);
        (pids.len() == 2).then_some(pids)
    })
    .await;
    for pid in pids {
        freezer.set("cgroup.procs", &pid.to_string());
    }
    freezer.set("freezer.state", "FROZEN");
    assert_eq!(hub.cli(&["terminate", &id]).code, 0);
    let ended = hub.ended(&id).await;
    is(&ended, "terminated", 499);
    eventually("it shows as pending", async || {
        let found = hub.get(&format!("/v1/invocations/{id}")).await;
        (found["reclaim_pending"] == true).then_some(())
    })
    .await;
    let next = hub.invoke("patient", "echo next").await;
    let function = hub.get("/v1/functions/patient").await;
    assert_eq!(function["reclaim_pending"], 1, "{function}");
    let found = hub.get(&format!("/v1/invocations/{next}")).await;
    assert_eq!(found["state"], "accepted", "the slot was given away");
    freezer.set("freezer.state", "THAWED");
    is(&hub.ended(&next).await, "succeeded", 200);
    hub.reclaimed(&id).await;
}
