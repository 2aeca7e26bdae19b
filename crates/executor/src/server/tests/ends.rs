//! How runs begin and end, as a hub hears it.

use tokio::time::timeout;

use super::{Bench, TEST_TIMEOUT, request_id, start};
use crate::instance::How;
use crate::protocol::{FromExecutor, RunEnd, StopHow, ToExecutor};

#[tokio::test]
async fn all_lines_come_before_the_end() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    let mut start = start(1, "f");
    start.remarks = vec!["a remark".to_owned()];
    hub.send(ToExecutor::Start(start)).await;
    let actor = bench.actor().await;
    assert_eq!(actor.id, request_id(1));
    actor.write(&["one", "", "three"]).await;
    actor.end_well("the result");
    let (lines, outcome, result) = hub.until_end(1).await;
    let texts: Vec<_> = lines
        .iter()
        .map(|l| (l.number, l.stream.as_str(), l.text.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            (1, "system", "a remark"),
            (2, "stdout", "one"),
            (3, "stdout", ""),
            (4, "stdout", "three"),
        ]
    );
    assert_eq!(outcome.end, RunEnd::Succeeded);
    assert_eq!(outcome.exit_code, Some(0));
    assert_eq!(result, "the result");
}

#[tokio::test]
async fn what_cannot_be_started_failed_and_says_why() {
    let bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    for (n, function, why) in [
        (1, "unknown", "there is no function `unknown`"),
        (
            2,
            "refuses",
            "the program `true` was not found or is not executable",
        ),
    ] {
        hub.start(n, function).await;
        let (lines, outcome, _) = hub.until_end(n).await;
        assert_eq!(
            (outcome.end, outcome.reason.as_str()),
            (RunEnd::Failed, "start_failed")
        );
        assert_eq!(outcome.detail.as_deref(), Some(why));
        assert_eq!(lines.len(), 0);
    }
}

#[tokio::test]
async fn a_second_start_of_a_held_run_does_nothing() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    hub.start(1, "f").await;
    actor.end_well("");
    hub.until_end(1).await;
    hub.start(1, "f").await;
    // Runs are started in the order of their starts.
    hub.start(2, "f").await;
    assert_eq!(bench.actor().await.id, request_id(2));
}

#[tokio::test]
async fn a_panic_ends_one_run_alone() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    hub.start(2, "panics").await;
    loop {
        if let (FromExecutor::Ended { run, outcome, .. }, _) = hub.receive().await {
            assert_eq!(run, request_id(2).to_string());
            assert_eq!(
                (outcome.end, outcome.reason.as_str()),
                (RunEnd::Lost, "executor_error")
            );
            break;
        }
    }
    actor.end_well("");
    assert_eq!(hub.until_end(1).await.1.end, RunEnd::Succeeded);
}

#[tokio::test]
async fn a_stop_reaches_the_run_from_any_hub() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    let run = request_id(1).to_string();
    let how = StopHow::Graceful;
    hub.send(ToExecutor::Stop {
        run: run.clone(),
        how,
    })
    .await;
    actor.wait_for_requests(&["request_stop"]).await;
    let mut hub = bench.hub().await;
    hub.attach(1, 0).await;
    let how = StopHow::Kill("terminated".to_owned());
    hub.send(ToExecutor::Stop { run, how }).await;
    let (_, outcome, _) = hub.until_end(1).await;
    assert_eq!((outcome.end, outcome.signal), (RunEnd::Terminated, Some(9)));
}

#[tokio::test]
async fn what_remains_is_told_when_it_is_gone() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    let gone = actor.leave();
    actor.end(How::Exited(1));
    let run = request_id(1).to_string();
    loop {
        if let (FromExecutor::Ended { reclaimed, .. }, _) = hub.receive().await {
            assert!(!reclaimed);
            break;
        }
    }
    hub.forget(1).await;
    // Forgotten, but held: a new hub is told, too.
    let mut hub = bench.hub().await;
    assert_eq!(hub.welcome.runs.len(), 1);
    assert!(hub.welcome.runs[0].ended);
    hub.attach(1, 0).await;
    let (ended, _) = hub.receive().await;
    assert!(
        matches!(
            ended,
            FromExecutor::Ended {
                reclaimed: false,
                ..
            }
        ),
        "{ended:?}"
    );
    gone.send(()).unwrap();
    assert_eq!(hub.receive().await.0, FromExecutor::Reclaimed { run });
    assert_eq!(held(&bench, 0).await, 0);
}

#[tokio::test]
async fn to_forget_frees() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    let many = "x".repeat(60_000);
    for _ in 0..10 {
        actor.write(&[&many]).await;
    }
    assert_eq!(bench.spilled(), 1);
    actor.end_well("");
    loop {
        if let (FromExecutor::Ended { .. }, _) = hub.receive().await {
            break;
        }
    }
    hub.forget(1).await;
    assert_eq!(held(&bench, 0).await, 0);
    let removed = async {
        while bench.spilled() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(TEST_TIMEOUT, removed)
        .await
        .expect("the spill file stays");
}

#[tokio::test]
async fn to_forget_too_early_drops_nothing() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    actor.write(&["one", "two"]).await;
    hub.forget(1).await;
    // Once this run is there, the words before it were heard.
    hub.start(2, "f").await;
    bench.actor().await;
    let mut hub = bench.hub().await;
    hub.attach(1, 0).await;
    actor.end_well("");
    let (lines, ..) = hub.until_end(1).await;
    let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["one", "two"]);
}

/// Waits until so many runs are held.
async fn held(bench: &Bench, runs: usize) -> usize {
    let held = async {
        while bench.hub().await.welcome.runs.len() != runs {
            tokio::task::yield_now().await;
        }
    };
    timeout(TEST_TIMEOUT, held)
        .await
        .expect("runs are held for ever");
    runs
}
