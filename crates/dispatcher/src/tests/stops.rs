//! Stopping one invocation, and stopping the hub.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tripline_journal::Journal;
use tripline_model::{Dispatch, End, InvocationState, RequestId, Stopping};

use super::yielding::Yielding;
use super::{NOW, World, accepted, offer, tally, until};
use crate::{TerminateError, TerminateOutcome};

#[tokio::test]
async fn what_waits_is_cancelled_and_never_runs() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    accepted(&handle, offer("held")).await;
    until(async || handle.running() == 1).await;
    let answers = handle.try_dispatch_all(vec![offer("ok"); 600]).await;
    let ids: Vec<_> = answers
        .into_iter()
        .map(|a| a.unwrap().request_id().unwrap())
        .collect();
    // One in the window, one in the journal alone.
    for id in [ids[0], ids[599]] {
        let outcome = handle.terminate(id, false).await.unwrap();
        assert_eq!(outcome, TerminateOutcome::Cancelled);
        let again = handle.terminate(id, false).await.unwrap_err();
        assert!(matches!(
            again,
            TerminateError::AlreadyEnded {
                end: End::Cancelled,
                ..
            }
        ));
    }
    assert_eq!(handle.queue_len(), 598);
    world.runtime.release.add_permits(1);
    for id in &ids[1..599] {
        handle.ended(*id).await.unwrap().unwrap();
    }
    until(async || handle.queue_len() == 0 && handle.running() == 0).await;
    assert_eq!(
        world.runtime.started(ids[0]) + world.runtime.started(ids[599]),
        0
    );
}

#[tokio::test]
async fn what_runs_is_killed_or_asked() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    for (kind, grace, end) in [
        ("hang", false, End::Terminated),
        ("polite", true, End::Succeeded),
    ] {
        let id = accepted(&handle, offer(kind)).await;
        until(async || handle.running() == 1).await;
        let outcome = handle.terminate(id, grace).await.unwrap();
        assert_eq!(outcome, TerminateOutcome::Stopping);
        let ended = handle.ended(id).await.unwrap().unwrap();
        assert_eq!(ended.state, InvocationState::Ended(end));
    }
    let nobody = handle.terminate(RequestId::new(NOW, [9; 10]), false).await;
    assert!(matches!(nobody, Err(TerminateError::NotFound(_))));
}

#[tokio::test(start_paused = true)]
async fn a_stopping_hub_refuses_waits_kills_and_keeps_what_waits() {
    let mut world = World::new();
    world.functions[0].concurrency = 2.try_into().unwrap();
    world.functions[0].timeout = Duration::from_secs(3600);
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let long = accepted(&handle, offer("hang")).await;
    let short = accepted(&handle, offer("held")).await;
    let waiting = accepted(&handle, offer("ok")).await;
    until(async || handle.running() == 2).await;
    handle.drain();
    assert!(handle.draining());
    let answers = handle.dispatch_all(vec![offer("ok"); 3]).await;
    assert_eq!(tally(&answers), [("draining", 3)].into());
    world.runtime.release.add_permits(1);
    assert!(matches!(handle.ended(short).await, Ok(Some(_))));
    let began = Instant::now();
    dispatcher.shutdown().await;
    let took = began.elapsed();
    assert!(took >= world.config.drain && took < world.config.drain + Duration::from_secs(1));
    let killed = world.journal.get(long).await.unwrap().unwrap();
    let ending = killed.ending.unwrap();
    assert_eq!(
        (ending.end, ending.reason.as_str()),
        (End::Terminated, "hub_stopped")
    );
    assert_eq!(
        world.state(short).await,
        InvocationState::Ended(End::Succeeded)
    );
    assert_eq!(world.state(waiting).await, InvocationState::Accepted);
    assert_eq!(world.runtime.started(waiting), 0);
    // Nobody waits for ever on a hub that is gone.
    assert_eq!(handle.ended(waiting).await, Err(Stopping));
}

#[tokio::test(start_paused = true)]
async fn a_pull_source_in_line_is_let_go_when_the_hub_stops() {
    let mut world = World::new();
    world.config.qps = 1.try_into().unwrap();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let pull = handle.dispatch_all(vec![offer("ok"); 100]);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        dispatcher.shutdown().await;
    };
    let (answers, ()) = tokio::join!(pull, stop);
    assert_eq!(tally(&answers), [("new", 3), ("draining", 97)].into());
}

#[tokio::test(start_paused = true)]
async fn without_time_to_drain_what_waits_still_waits() {
    for seed in 0..50 {
        let mut world = World::new();
        world.config.drain = Duration::ZERO;
        world.functions[0].concurrency = 5.try_into().unwrap();
        let journal = Arc::new(Yielding::new(world.journal.clone(), seed));
        let dispatcher = world.start_over(journal).await;
        let handle = dispatcher.handle();
        handle.try_dispatch_all(vec![offer("hang"); 10]).await;
        dispatcher.shutdown().await;
        for (_, state, _) in world.journal.counts().await.unwrap() {
            let ended = InvocationState::Ended(End::Terminated);
            assert!(
                [ended, InvocationState::Accepted].contains(&state),
                "{seed}: {state}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_expires_while_it_is_being_started_leaves_the_queue_once() {
    for seed in 0..200 {
        let mut world = World::new();
        world.functions[0].max_event_age = Duration::from_secs(10);
        let journal = Arc::new(Yielding::new(world.journal.clone(), seed));
        let dispatcher = world.start_over(journal).await;
        let handle = dispatcher.handle();
        accepted(&handle, offer("held")).await;
        until(async || handle.running() == 1).await;
        for _ in 0..3 {
            accepted(&handle, offer("ok")).await;
        }
        // The slot becomes free about when it is looked for what is too old.
        tokio::time::sleep(Duration::from_millis(999)).await;
        world.clock.advance(Duration::from_secs(11));
        world.runtime.release.add_permits(1);
        for _ in 0..seed % 20 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        for _ in 0..3 {
            let fresh = accepted(&handle, offer("ok")).await;
            let ended = tokio::time::timeout(Duration::from_secs(60), handle.ended(fresh)).await;
            let state = ended.expect("it is started").unwrap().unwrap().state;
            assert_eq!(state, InvocationState::Ended(End::Succeeded), "seed {seed}");
        }
        assert_eq!(handle.queue_len(), 0, "seed {seed}");
    }
}
