//! Runs that outlive the hub.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tripline_journal::Journal;
use tripline_model::{Clock, Dispatch, End, Ending, InvocationState, RequestId, Stopping};

use super::{NOW, World, accepted, offer, until};
use crate::counts::InvocationCounts;
use crate::{Dispatcher, TerminateOutcome};

fn world() -> World {
    let world = World::new();
    world.runtime.outlives.store(true, Ordering::SeqCst);
    world
}

/// A first life that runs one of this kind and is then gone, without a word to the journal.
async fn a_life_with(world: &World, kind: &str) -> RequestId {
    let first = world.start().await;
    let handle = first.handle();
    let id = accepted(&handle, offer(kind)).await;
    until(async || world.runtime.started(id) == 1).await;
    leave(first).await;
    id
}

/// As a crash: what runs is left alone.
async fn leave(dispatcher: Dispatcher) {
    dispatcher.shared.drain();
    dispatcher.shared.detach_or_kill_runs();
    dispatcher.shutdown().await;
}

async fn ending(world: &World, id: RequestId) -> Ending {
    let invocation = Journal::get(world.journal.as_ref(), id).await;
    invocation.unwrap().unwrap().ending.expect("it has ended")
}

#[tokio::test]
async fn a_run_goes_on_in_its_slot_and_ends_as_it_does() {
    let world = world();
    let id = a_life_with(&world, "held").await;
    assert_eq!(world.state(id).await, InvocationState::Running);
    let second = world.start().await;
    let handle = second.handle();
    until(async || handle.running() == 1).await;
    let next = accepted(&handle, offer("ok")).await;
    tokio::task::yield_now().await;
    assert_eq!(world.runtime.started(next), 0, "there is one slot");
    let waiter = handle.ended(id);
    world.runtime.release.add_permits(1);
    let invocation = waiter.await.unwrap().unwrap();
    assert_eq!(invocation.state, InvocationState::Ended(End::Succeeded));
    assert!(matches!(handle.ended(next).await, Ok(Some(_))));
    until(async || world.runtime.runs.lock().unwrap().is_empty()).await;
    assert_eq!(world.runtime.started(id), 1);
}

#[tokio::test]
async fn who_waits_for_a_run_that_goes_on_hears_that_the_hub_stops() {
    let world = world();
    let first = world.start().await;
    let handle = first.handle();
    let id = accepted(&handle, offer("hang")).await;
    until(async || world.runtime.started(id) == 1).await;
    let (invocation, ()) = tokio::join!(handle.ended(id), leave(first));
    assert_eq!(invocation, Err(Stopping));
}

#[tokio::test]
async fn a_run_that_went_on_can_be_stopped() {
    let world = world();
    for (kind, grace, end) in [
        ("hang", false, End::Terminated),
        ("polite", true, End::Succeeded),
    ] {
        let id = a_life_with(&world, kind).await;
        let next = world.start().await;
        let handle = next.handle();
        let outcome = handle.terminate(id, grace).await.unwrap();
        assert_eq!(outcome, TerminateOutcome::Stopping);
        let invocation = handle.ended(id).await.unwrap().unwrap();
        assert_eq!(invocation.state, InvocationState::Ended(end));
        next.shutdown().await;
    }
}

#[tokio::test]
async fn what_ended_meanwhile_ends_as_it_did() {
    let world = world();
    let id = a_life_with(&world, "held").await;
    let own = Ending {
        exit_code: Some(3),
        duration_ms: Some(40),
        ..Ending::new(End::Failed, world.clock.now(), "exit_code")
    };
    world.runtime.hold(id, "held", Some(own.clone()));
    let second = world.start().await;
    assert!(matches!(second.handle().ended(id).await, Ok(Some(_))));
    assert_eq!(ending(&world, id).await, own);
}

#[tokio::test]
async fn more_runs_than_slots_keep_new_ones_out_until_they_are_fewer() {
    let mut world = world();
    world.functions[0].concurrency = 3.try_into().unwrap();
    let first = world.start().await;
    let handle = first.handle();
    for _ in 0..3 {
        accepted(&handle, offer("held")).await;
    }
    until(async || world.runtime.runs.lock().unwrap().len() == 3).await;
    leave(first).await;
    world.functions[0].concurrency = 2.try_into().unwrap();
    let second = world.start().await;
    let handle = second.handle();
    let next = accepted(&handle, offer("held")).await;
    until(async || handle.running() == 3).await;
    world.runtime.release.add_permits(1);
    until(async || handle.running() == 2).await;
    assert_eq!(world.runtime.started(next), 0);
    world.runtime.release.add_permits(1);
    until(async || world.runtime.started(next) == 1).await;
    assert_eq!(handle.running(), 2);
}

#[tokio::test]
async fn what_is_held_and_over_is_cleared_away_and_keeps_its_slot() {
    let world = world();
    let id = a_life_with(&world, "held").await;
    let own = Ending::new(End::Failed, world.clock.now(), "exit_code");
    world.journal.finish(id, own.clone()).await.unwrap();
    world.runtime.hold(id, "clings", Some(own.clone()));
    let nobody = RequestId::new(NOW, [9; 10]);
    world.runtime.hold(nobody, "hang", None);
    let second = world.start().await;
    let handle = second.handle();
    until(async || handle.reclaim_pending(id)).await;
    let status = &handle.functions()[0];
    assert_eq!((status.running, status.reclaim_pending), (0, 1));
    let next = accepted(&handle, offer("ok")).await;
    until(async || !world.runtime.runs.lock().unwrap().contains_key(&nobody)).await;
    assert_eq!(world.runtime.started(next), 0, "the slot is kept");
    world.runtime.reclaims.add_permits(1);
    assert!(matches!(handle.ended(next).await, Ok(Some(_))));
    assert!(!handle.reclaim_pending(id));
    assert_eq!(handle.functions()[0].reclaim_pending, 0);
    assert_eq!(ending(&world, id).await, own);
    assert_eq!(Journal::get(world.journal.as_ref(), nobody).await, Ok(None));
}

#[tokio::test]
async fn an_end_is_told_before_the_last_of_it_is_gone() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let id = accepted(&handle, offer("clings")).await;
    let invocation = handle.ended(id).await.unwrap().unwrap();
    assert_eq!(invocation.state, InvocationState::Ended(End::Succeeded));
    until(async || handle.reclaim_pending(id)).await;
    assert_eq!(handle.functions()[0].reclaim_pending, 1);
    let next = accepted(&handle, offer("ok")).await;
    tokio::task::yield_now().await;
    assert_eq!(world.runtime.started(next), 0);
    world.runtime.reclaims.add_permits(1);
    assert!(matches!(handle.ended(next).await, Ok(Some(_))));
}

#[tokio::test]
async fn the_run_of_a_removed_function_is_killed() {
    let mut world = world();
    let id = a_life_with(&world, "held").await;
    world.functions = vec![super::function("g")];
    let second = world.start().await;
    assert!(matches!(second.handle().ended(id).await, Ok(Some(_))));
    let ending = ending(&world, id).await;
    let how = (ending.end, ending.reason.as_str());
    assert_eq!(how, (End::Terminated, "function_removed"));
    until(async || world.runtime.runs.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_held_run_that_the_journal_takes_for_waiting_is_not_started_again() {
    let world = world();
    let first = world.start().await;
    let handle = first.handle();
    accepted(&handle, offer("held")).await;
    let waiting = accepted(&handle, offer("held")).await;
    leave(first).await;
    world.runtime.hold(waiting, "held", None);
    world.runtime.release.add_permits(2);
    let second = world.start().await;
    assert!(matches!(second.handle().ended(waiting).await, Ok(Some(_))));
    assert_eq!(world.runtime.started(waiting), 0);
    assert_eq!(second.handle().queue_len(), 0);
}

/// Nobody can read what it was: it is over, and its hub starts.
#[tokio::test]
async fn a_held_run_whose_record_is_damaged_is_lost_and_ended() {
    let world = world();
    let first = world.start().await;
    let handle = first.handle();
    let running = accepted(&handle, offer("held")).await;
    until(async || world.runtime.started(running) == 1).await;
    let waiting = accepted(&handle, offer("held")).await;
    leave(first).await;
    world.runtime.hold(waiting, "held", None);
    for id in [running, waiting] {
        world.journal.damage(id);
    }
    let second = world.start().await;
    until(async || world.runtime.runs.lock().unwrap().is_empty()).await;
    let counts = world.journal.counts().await.unwrap();
    let f = super::function("f").name;
    assert_eq!(counts, [(f, InvocationState::Ended(End::Lost), 2)]);
    let lane = second.shared.lanes.values().next().unwrap();
    assert_eq!(*lane.counts(), InvocationCounts::recovered(0, 2));
    assert_eq!(world.runtime.started(waiting), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_hub_waits_and_then_leaves_what_outlives_it() {
    let world = world();
    let first = world.start().await;
    let handle = first.handle();
    let id = accepted(&handle, offer("held")).await;
    until(async || handle.running() == 1).await;
    let began = tokio::time::Instant::now();
    first.shutdown().await;
    let took = began.elapsed();
    assert!(took >= world.config.drain && took < world.config.drain + Duration::from_secs(1));
    assert_eq!(world.state(id).await, InvocationState::Running);
    assert!(world.runtime.runs.lock().unwrap().contains_key(&id));
}
