//! When an executor begins and when it ends.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::{Bench, request_id};
use crate::protocol::{FromExecutor, RunEnd, ToExecutor};
use crate::server::directory::ExecutorDirectory;
use crate::server::{DIRECTORY_CHECK_INTERVAL, ServeError};

#[tokio::test(start_paused = true)]
async fn a_retired_executor_ends_with_its_last_run() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    hub.send(ToExecutor::Retire).await;
    hub.start(2, "f").await;
    let (_, outcome, _) = hub.until_end(2).await;
    assert_eq!(
        outcome.detail.as_deref(),
        Some("this executor starts nothing any more")
    );
    hub.forget(2).await;
    let mut hub = bench.hub().await;
    assert!(hub.welcome.retired);
    hub.attach(1, 0).await;
    actor.end_well("");
    assert_eq!(hub.until_end(1).await.1.end, RunEnd::Succeeded);
    // The run is still held.
    assert!(bench.served.try_join_next().is_none());
    hub.forget(1).await;
    let forgotten = Instant::now();
    bench.over().await.unwrap();
    assert!(
        forgotten.elapsed() < DIRECTORY_CHECK_INTERVAL,
        "it was told at once"
    );
    assert!(!bench.dir.join("socket").exists());
}

#[tokio::test]
async fn an_executor_without_work_ends_when_it_is_retired() {
    let mut bench = Bench::open();
    bench.hub().await.send(ToExecutor::Retire).await;
    bench.over().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_hub_and_runs_it_ends_after_a_while() {
    let mut bench = Bench::open();
    let began = Instant::now();
    drop(bench.hub().await);
    bench.over().await.unwrap();
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(600) && waited < Duration::from_secs(605),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_keeps_it_alive_without_a_hub() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    let mut start = super::start(1, "f");
    start.timeout_ms = 24 * 3_600_000;
    hub.send(ToExecutor::Start(start)).await;
    let actor = bench.actor().await;
    drop(hub);
    tokio::time::sleep(Duration::from_secs(20 * 3600)).await;
    let mut hub = bench.hub().await;
    assert_eq!(hub.welcome.runs.len(), 1);
    assert_eq!(hub.welcome.runs[0].run, request_id(1).to_string());
    assert!(!hub.welcome.runs[0].ended);
    hub.attach(1, 0).await;
    actor.end_well("");
    assert_eq!(hub.until_end(1).await.1.duration_ms / 3_600_000, 20);
}

#[tokio::test(start_paused = true)]
async fn without_its_directory_it_kills_everything_and_ends() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    std::fs::remove_dir_all(&bench.dir).unwrap();
    let began = Instant::now();
    actor.wait_for_requests(&["kill"]).await;
    actor.dropped().await;
    assert!(began.elapsed() <= Duration::from_secs(2));
    bench.over().await.unwrap();
}

#[tokio::test]
async fn told_to_shut_down_it_kills_everything_and_ends() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    actor.write(&["begun"]).await;
    let (begun, _) = hub.receive().await;
    assert!(matches!(begun, FromExecutor::Lines { .. }));
    bench.shutdown.cancel();
    bench.over().await.unwrap();
    actor.wait_for_requests(&["kill"]).await;
    // No end is told: for the hub it is the same as if the executor had been killed.
    let mut rest = Vec::new();
    hub.stream.read_to_end(&mut rest).await.unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("ended"));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_go_away_does_not_keep_it_alive() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    let _never = actor.leave();
    bench.shutdown.cancel();
    bench.over().await.unwrap();
}

#[tokio::test]
async fn a_directory_has_one_executor() {
    let bench = Bench::open();
    let pid = std::fs::read_to_string(bench.dir.join("lock")).unwrap();
    assert_eq!(pid.trim(), std::process::id().to_string());
    let second = ExecutorDirectory::enter(&bench.dir);
    assert!(matches!(second, Err(ServeError::Taken)), "{second:?}");
}

#[tokio::test]
async fn a_stale_socket_and_a_long_path_are_no_hindrance() {
    use std::os::unix::fs::PermissionsExt;

    let root = tempfile::TempDir::new().unwrap();
    let dir = root.path().join("d".repeat(200));
    let directory = ExecutorDirectory::enter(&dir).unwrap();
    drop(directory.listen().unwrap());
    assert!(dir.join("socket").exists());
    let _listener = directory.listen().unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.join("socket")), 0o600);
    assert_eq!(mode(dir.join("lock")), 0o600);
    assert_eq!(mode(dir.clone()), 0o700);
    let bench = Bench::open_in(&"d".repeat(200));
    assert!(bench.hub().await.welcome.runs.is_empty());
}
