//! Instances without work: kept warm, ended, replaced; and those that never get ready.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{WorkerFixture, eventually};
use crate::instance::How;

/// Writes the time of each start into a file.
const LOG_STARTS: &str = "echo start >> starts";

fn starts(fixture: &WorkerFixture) -> usize {
    let text = std::fs::read_to_string(fixture.dir.path().join("starts")).unwrap_or_default();
    text.lines().count()
}

#[tokio::test]
async fn the_minimum_is_kept_warm_and_used() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.min_instances = 2)
        .with_env("BEFORE_INIT", LOG_STARTS)
        .declared();
    fixture.has_instances(2).await;
    eventually("two starts", || starts(&fixture) == 2).await;
    assert_eq!(fixture.run("answer $count").await.result(), "1");
    assert_eq!(starts(&fixture), 2, "the run needed no new one");
    // One that failed is replaced without a run that needs it.
    fixture.run("report bad").await;
    eventually("the third start", || starts(&fixture) == 3).await;
    fixture.close().await;
}

#[tokio::test]
async fn those_above_the_minimum_end_when_idle_for_long() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| {
            worker.min_instances = 1;
            worker.idle_timeout_ms = 200;
        })
        .declared();
    let mut pids = Vec::new();
    // The second time shows that the one that stayed is not ended a little later.
    for _ in 0..2 {
        let mut runs = Vec::new();
        for _ in 0..4 {
            runs.push(fixture.start("sleep 0.2; answer $$").await);
        }
        pids.clear();
        for run in runs {
            pids.push(run.done().await.result().to_owned());
        }
        // Well before the time to get ready is over: that is looked at for its own sake.
        let ended = timeout(Duration::from_secs(15), fixture.has_instances(1)).await;
        ended.expect("they end soon after the idle timeout");
    }
    let last = fixture.run("answer $$").await;
    assert!(
        pids.iter().any(|pid| pid == last.result()),
        "the minimum stays"
    );
    fixture.close().await;
}

#[tokio::test]
async fn an_idle_instance_that_dies_is_replaced_after_pauses_that_grow() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.min_instances = 1)
        .with_env("BEFORE_INIT", format!("{LOG_STARTS}; exit 1"))
        .declared();
    eventually("the first start", || starts(&fixture) == 1).await;
    let began = Instant::now();
    eventually("the second start", || starts(&fixture) == 2).await;
    let second = began.elapsed();
    eventually("the third start", || starts(&fixture) == 3).await;
    let third = began.elapsed() - second;
    assert!(second >= Duration::from_millis(900), "{second:?}");
    assert!(third >= Duration::from_millis(1900), "{third:?}");
    fixture.close().await;
}

#[tokio::test]
async fn an_instance_that_ended_while_idle_is_not_given_to_a_run() {
    let fixture = WorkerFixture::new().declared();
    fixture.run("answer 1; sleep 0.1; exit 0").await.result();
    fixture.has_instances(0).await;
    assert_eq!(fixture.run("answer $count").await.result(), "1");
    fixture.close().await;
}

#[tokio::test]
async fn an_instance_that_does_not_get_ready_fails_the_run() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.init_timeout_ms = 300)
        .with_env("BEFORE_INIT", "echo loading; sleep 600")
        .declared();
    let done = fixture.run("answer 1").await;
    let How::NotReady { reason, detail } = &done.exit.how else {
        panic!("{:?}", done.exit.how);
    };
    assert_eq!(*reason, "init_timeout");
    assert!(detail.contains("300 ms"), "{detail}");
    assert_eq!(done.output.texts(), ["loading"]);
    assert_eq!(fixture.instances(), 0);
    fixture.close().await;
}

#[tokio::test]
async fn an_instance_that_ends_before_it_is_ready_fails_the_run() {
    let fixture = WorkerFixture::new()
        .with_env("BEFORE_INIT", "echo no model >&2; exit 3")
        .declared();
    let done = fixture.run("answer 1").await;
    let How::NotReady { reason, detail } = &done.exit.how else {
        panic!("{:?}", done.exit.how);
    };
    assert_eq!(*reason, "init_failed");
    assert!(detail.contains("exit status: 3"), "{detail}");
    assert_eq!(done.output.texts(), ["no model"]);
    fixture.close().await;
}

#[tokio::test]
async fn a_warm_instance_that_does_not_get_ready_is_replaced() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| {
            worker.min_instances = 1;
            worker.init_timeout_ms = 200;
        })
        .with_env(
            "BEFORE_INIT",
            format!("{LOG_STARTS}; [ -e ready ] || sleep 600"),
        )
        .declared();
    eventually("the first start", || starts(&fixture) == 1).await;
    std::fs::write(fixture.dir.path().join("ready"), "").unwrap();
    eventually("the second start", || starts(&fixture) == 2).await;
    assert_eq!(fixture.run("answer $count").await.result(), "1");
    fixture.close().await;
}
