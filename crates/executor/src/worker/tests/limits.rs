//! Limits that instances run into: which run is told so, and what becomes of the instance.

use tripline_skipped::skipped;

use super::{WorkerFixture, eventually};
use crate::instance::How;
use crate::protocol::Limits;

/// `tail` keeps all that it gets, as it has no line ends: too much, and it is killed for that. The shell lives on, where
/// the kernel does not kill by group.
const EAT: &str = "head -c 200M /dev/zero | tail > /dev/null";

/// A fixture that bounds memory; `None`, with a message, where that is not possible.
fn with_little_memory(what: &str) -> Option<WorkerFixture> {
    let mut fixture = WorkerFixture::new();
    fixture.spec.limits.memory_bytes = Some(32 << 20);
    if fixture.isolation.level().memory {
        return Some(fixture);
    }
    skipped(what, "no control groups bound memory here");
    None
}

fn with_little_scratch() -> WorkerFixture {
    let mut fixture = WorkerFixture::new();
    fixture.spec.limits = Limits {
        scratch_bytes: Some(10 << 20),
        ..Limits::default()
    };
    fixture
}

#[tokio::test]
async fn the_run_that_used_too_much_memory_is_told_and_not_the_next() {
    let Some(fixture) = with_little_memory("a worker with too much memory") else {
        return;
    };
    fixture.declare();
    for end in ["answer well", "report bad", "exit 7"] {
        assert_eq!(fixture.run("answer $count").await.result(), "1");
        let done = fixture.run(&format!("{EAT}; {end}")).await;
        assert_eq!(done.exit.how, How::MemoryLimit, "{end}");
        assert!(done.exit.peak_memory.is_some_and(|peak| peak > 16 << 20));
        let next = fixture.run("exit 7").await.exit.how;
        assert!(
            matches!(next, How::Crashed { code: Some(7), .. }),
            "{next:?}"
        );
    }
    fixture.close().await;
}

#[tokio::test]
async fn what_a_run_left_working_is_not_the_fault_of_the_next() {
    let Some(fixture) = with_little_memory("a worker with too much memory after its answer") else {
        return;
    };
    fixture.declare();
    let (go, killed) = (
        fixture.dir.path().join("go"),
        fixture.dir.path().join("killed"),
    );
    let event = format!(
        "(until [ -e {} ]; do sleep 0.02; done; {EAT}; echo > {}) & answer $count",
        go.display(),
        killed.display()
    );
    assert_eq!(fixture.run(&event).await.result(), "1");
    std::fs::write(&go, "").unwrap();
    // Where the kernel kills by group the instance is gone, and replaced for that.
    eventually("it is killed", || {
        killed.exists() || fixture.instances() == 0
    })
    .await;
    assert_eq!(fixture.run("answer $count").await.result(), "1");
    fixture.close().await;
}

#[tokio::test]
async fn who_fills_the_scratch_is_ended_for_that() {
    let fixture = with_little_scratch().declared();
    let event = r#"head -c 20M /dev/zero > "$TRIPLINE_SCRATCH/file"; sleep 600"#;
    assert_eq!(fixture.run(event).await.exit.how, How::ScratchLimit);
    assert_eq!(fixture.run("answer $count").await.result(), "1");
    fixture.close().await;
}

#[tokio::test]
async fn a_limit_before_the_first_event_is_no_run_of_it() {
    let eats = with_little_memory("a worker with too much memory at its start");
    let eats = eats.map(|fixture| (fixture, format!("{EAT}; exit 1"), How::MemoryLimit));
    let fill = r#"head -c 20M /dev/zero > "$TRIPLINE_SCRATCH/file"; sleep 600"#.to_owned();
    let fills = (with_little_scratch(), fill, How::ScratchLimit);
    for (fixture, before_init, passed) in eats.into_iter().chain([fills]) {
        let fixture = fixture.with_env("BEFORE_INIT", before_init).declared();
        let how = fixture.run("answer never").await.exit.how;
        let limit = passed.limit().unwrap();
        let reported = matches!(&how, How::NotReady { reason: "init_failed", detail } if detail.ends_with(&limit));
        assert!(reported, "{how:?}");
        fixture.close().await;
    }
}

#[tokio::test]
async fn a_limit_before_a_kill_is_no_run_either() {
    let Some(fixture) = with_little_memory("a worker with too much memory that is killed") else {
        return;
    };
    let eaten = fixture.dir.path().join("eaten");
    let before_init = format!("{EAT}; echo > {}; sleep 600", eaten.display());
    let fixture = fixture.with_env("BEFORE_INIT", before_init).declared();
    let mut running = fixture.start("answer never").await;
    tokio::select! {
        () = running.instance.wait() => {}
        // As at the deadline.
        () = eventually("it ate", || eaten.exists()) => running.instance.kill(),
    }
    let how = running.done().await.exit.how;
    assert!(matches!(how, How::NotReady { .. }), "{how:?}");
    fixture.close().await;
}
