//! A machine that has no more: of descriptors, threads, memory, or places in the queue; and an executor that keeps nothing of
//! what it ran.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tokio::task::JoinSet;
use tripline_tests::{Hub, Raw, Vitals, eventually, skipped};

use super::{
    address, answer_to, call, good_calls, hub, hub_with, no_panic, nothing_ran_twice, receipt,
};

/// A control group (of the first version) with one process in it, gone at the end.
struct Group(PathBuf);

impl Group {
    /// `None` was said aloud.
    fn with(test: &str, controller: &str, pid: u32) -> Option<Self> {
        let name = format!("tripline-test-{}-{pid}", std::process::id());
        let group = Self(PathBuf::from("/sys/fs/cgroup").join(controller).join(name));
        let made = fs::create_dir(&group.0);
        let joined = made.and_then(|()| fs::write(group.file("cgroup.procs"), pid.to_string()));
        match joined {
            Ok(()) => Some(group),
            Err(error) => {
                let why = format!("no control group of the {controller} controller: {error}");
                skipped(test, &why);
                None
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn number(&self, name: &str) -> u64 {
        let text = fs::read_to_string(self.file(name)).unwrap();
        text.trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // To the parent's, or the group cannot be removed.
        let left = fs::read_to_string(self.file("cgroup.procs")).unwrap_or_default();
        for pid in left.lines() {
            let _ended = fs::write(self.0.with_file_name("cgroup.procs"), pid);
        }
        let _removed = fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_callers_wait_and_the_work_goes_on() {
    let test = "without_descriptors_callers_wait_and_the_work_goes_on";
    // Longer than a good call waits.
    let hub = hub_with("header_timeout = \"1h\"", super::CONFIG).await;
    good_calls(&hub, 2).await;
    let before = Vitals::of(hub.pid());
    let bound = |files: usize| {
        let (pid, limit) = (hub.pid().to_string(), format!("--nofile={files}:"));
        let mut command = Command::new("prlimit");
        command.args(["--pid", &pid, &limit]).status()
    };
    if before.files == 0 {
        return skipped(test, "the descriptors of another process cannot be counted");
    }
    match bound(before.files + 10) {
        Ok(done) if done.success() => {}
        failed => return skipped(test, &format!("prlimit cannot be used: {failed:?}")),
    }
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Raw::open(&address(&hub)).await);
    }
    // None of them would go by itself.
    good_calls(&hub, 5).await;
    let count = |hub: &Hub| {
        let lines = hub.lines("hub.log").into_iter();
        lines
            .filter(|line| line.contains("no connection can be accepted"))
            .count()
    };
    assert!(
        (1..50).contains(&count(&hub)),
        "it was logged {} times",
        count(&hub)
    );
    drop(silent);
    assert!(bound(20_000).unwrap().success());
    good_calls(&hub, 2).await;
    before.come_back(hub.pid()).await;
    nothing_ran_twice(&hub).await;
    no_panic(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_new_threads_the_hub_goes_on() {
    let hub = hub().await;
    good_calls(&hub, 2).await;
    let test = "without_new_threads_the_hub_goes_on";
    let Some(group) = Group::with(test, "pids", hub.pid()) else {
        return;
    };
    let threads = group.number("pids.current");
    fs::write(group.file("pids.max"), threads.to_string()).unwrap();
    good_calls(&hub, 10).await;
    let mut callers = JoinSet::new();
    for _ in 0..30 {
        let address = address(&hub);
        callers.spawn(async move {
            let mut raw = Raw::open(&address).await;
            raw.send(call("/note")).await;
            raw.answer().await.map(|answer| answer.status)
        });
    }
    let answers = callers.join_all().await;
    assert!(
        answers.iter().all(|status| *status == Some(202)),
        "{answers:?}"
    );
    assert!(group.number("pids.current") <= threads);
    hub.ended_of("note", 42).await;
    fs::write(group.file("pids.max"), "max").unwrap();
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
    no_panic(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_killed_for_want_of_memory_knows_its_receipts() {
    let test = "a_hub_killed_for_want_of_memory_knows_its_receipts";
    let mut hub = hub().await;
    let mut ids = good_calls(&hub, 3).await;
    let Some(group) = Group::with(test, "memory", hub.pid()) else {
        return;
    };
    let mut connections = Vec::new();
    for _ in 0..60 {
        connections.push(Raw::open(&address(&hub)).await);
    }
    // What it has is not counted: only what it takes from now on.
    fs::write(group.file("memory.limit_in_bytes"), "4M").unwrap();
    let body = "x".repeat(1 << 20);
    let length = body.len();
    let call = format!("POST /note HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut callers = JoinSet::new();
    for mut raw in connections {
        let call = call.clone();
        callers.spawn(async move {
            raw.send(call).await;
            let answer = raw.answer().await?;
            (answer.status == 202).then(|| receipt(&answer))
        });
    }
    assert_eq!(hub.exited().await.code(), None, "it was killed");
    drop(group);
    ids.extend(callers.join_all().await.into_iter().flatten());
    hub.launch().await;
    for id in &ids {
        assert_eq!(hub.ended(id).await["request_id"], id.as_str());
    }
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_its_own_and_holds_up_nobody_else() {
    let hub = hub().await;
    let running = receipt(&answer_to(&hub, "/stay").await);
    hub.running(&running).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(receipt(&answer_to(&hub, "/stay").await));
    }
    let refused = answer_to(&hub, "/stay").await;
    assert_eq!((refused.status, refused.accepted().as_str()), (503, "no"));
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    // Another function does not notice.
    good_calls(&hub, 5).await;
    for id in &waiting {
        let ended = hub.ended(id).await;
        assert_eq!(
            (&ended["state"], &ended["ran"]),
            (&"expired".into(), &"no".into())
        );
    }
    receipt(&answer_to(&hub, "/stay").await);
    assert_eq!(hub.invocations("trigger=stay").await.len(), 5);
    no_panic(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_leave_nothing_in_their_executor() {
    const RUNS: usize = 300;
    let hub = hub().await;
    // What it takes for its first runs it keeps.
    good_calls(&hub, 10).await;
    let [executor] = <[_; 1]>::try_from(hub.executors()).expect("the hub has one executor");
    let pid = executor.pid.cast_unsigned();
    let before = Vitals::of(pid);
    let mut ids = Vec::new();
    for _ in 0..RUNS {
        ids.push(hub.invoke("note", "x").await);
    }
    for id in &ids {
        assert_eq!(hub.ended(id).await["state"], "succeeded");
    }
    // Far less than one for each run; nothing of memory can be said about so few.
    let after = eventually("the executor takes what it took", async || {
        let now = Vitals::of(pid);
        (now.files <= before.files + 5 && now.threads <= before.threads + 5).then_some(now)
    })
    .await;
    assert_eq!(hub.executors(), [executor], "it is another one");
    println!("{before:?}, after {RUNS} runs {after:?}");
    nothing_ran_twice(&hub).await;
}
