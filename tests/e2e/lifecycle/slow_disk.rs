//! A disk that is slow: callers wait for it together, and who is refused does not wait.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio::task::JoinSet;
use tripline_tests::{Hub, Raw, eventually, skipped};

use super::{
    CONFIG, address, call, good_calls, hub, hub_with, no_panic, nothing_ran_twice, receipt,
};

const FLUSHES: &str = "fdatasync,fsync";

/// What makes each flush of a hub slow, and counts them, until it is dropped.
struct SlowFlushes {
    strace: Child,
    seen: PathBuf,
}

// === impl SlowFlushes ===

impl SlowFlushes {
    /// Each begins so many seconds late; `None` was said aloud.
    async fn of(hub: &Hub, test: &str, seconds: f64) -> Option<Self> {
        let (seen, micros) = (hub.path("flushes"), (seconds * 1e6) as u64);
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(&seen)
            .args(["-e", &format!("trace={FLUSHES}")])
            .args(["-e", &format!("inject={FLUSHES}:delay_enter={micros}")])
            .args(["-p", &hub.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut strace) = strace else {
            skipped(test, "no strace on this machine");
            return None;
        };
        let is_traced = eventually("strace is there, or gone", async || {
            let status = fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
            let traced = format!("TracerPid:\t{}", strace.id());
            let is_over = strace.try_wait().unwrap().is_some();
            (is_over || status.contains(&traced)).then_some(!is_over)
        })
        .await;
        if !is_traced {
            skipped(test, "this user may not trace other processes");
            return None;
        }
        Some(Self { strace, seen })
    }

    /// How many have begun.
    fn count(&self) -> usize {
        let seen = fs::read_to_string(&self.seen).unwrap_or_default();
        // One that is interrupted by another has two lines.
        seen.lines().filter(|line| line.contains("sync(")).count()
    }
}

impl Drop for SlowFlushes {
    fn drop(&mut self) {
        let _already_gone = self.strace.kill();
        let _status = self.strace.wait();
    }
}

/// Calls so often, each time on a connection of its own; gives statuses and what they say of acceptance, as they come.
fn callers(hub: &Hub, count: usize) -> JoinSet<tripline_tests::Answer> {
    let mut callers = JoinSet::new();
    for _ in 0..count {
        let address = address(hub);
        callers.spawn(async move {
            let mut raw = Raw::open(&address).await;
            raw.send(call("/note")).await;
            raw.answer().await.expect("the call is answered")
        });
    }
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_callers_wait_together_and_tells_none_a_lie() {
    let test = "a_slow_disk_makes_callers_wait_together_and_tells_none_a_lie";
    const CALLERS: usize = 30;
    let hub = hub().await;
    good_calls(&hub, 1).await;
    let Some(slow) = SlowFlushes::of(&hub, test, 0.7).await else {
        return;
    };
    let answers = callers(&hub, CALLERS).join_all().await;
    let ids: Vec<_> = answers.iter().map(receipt).collect();
    // One by one they would take as many; beside them starts, ends and lines are written.
    let flushes = slow.count();
    assert!((1..CALLERS / 2).contains(&flushes), "{flushes} flushes");
    drop(slow);
    for id in &ids {
        assert_eq!(hub.ended(id).await["state"], "succeeded");
    }
    assert_eq!(hub.invocations("").await.len(), CALLERS + 1);
    nothing_ran_twice(&hub).await;
    no_panic(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_does_not_wait_for_the_disk() {
    let test = "who_is_refused_does_not_wait_for_the_disk";
    const LIMIT: usize = 5;
    const CALLERS: usize = 60;
    let hub = hub_with("", &format!("[hub]\nqps = {LIMIT}\n{CONFIG}")).await;
    // Longer than anybody waits here: nothing is accepted until it is over.
    let Some(slow) = SlowFlushes::of(&hub, test, 600.0).await else {
        return;
    };
    let mut callers = callers(&hub, CALLERS);
    for _ in 0..CALLERS / 2 {
        let answer = callers.join_next().await.expect("there are more").unwrap();
        assert_eq!((answer.status, answer.accepted().as_str()), (429, "no"));
    }
    drop(slow);
    let rest = callers.join_all().await;
    let accepted: Vec<_> = rest.iter().filter(|answer| answer.status != 429).collect();
    let ids: Vec<_> = accepted.into_iter().map(receipt).collect();
    assert!(ids.len() >= LIMIT, "{} were accepted", ids.len());
    assert_eq!(hub.records_within(LIMIT).await, ids.len());
    no_panic(&hub);
}
