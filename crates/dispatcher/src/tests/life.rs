//! From the queue to the end.

use std::time::Duration;

use tripline_journal::Journal;
use tripline_model::{Clock, Dispatch, End, InvocationState, RequestId};

use super::{NOW, World, accepted, offer, until};

async fn end_of(world: &World, id: RequestId) -> (End, String) {
    let invocation = world.journal.get(id).await.unwrap().unwrap();
    let ending = invocation.ending.expect("it has ended");
    (ending.end, ending.reason)
}

#[tokio::test]
async fn every_end_is_recorded_and_told() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    for (kind, end, reason) in [
        ("ok", End::Succeeded, "exit_code"),
        ("fail", End::Failed, "exit_code"),
        ("refuse", End::Failed, "start_failed"),
        ("panic", End::Lost, "hub_error"),
    ] {
        let id = accepted(&handle, offer(kind)).await;
        let invocation = handle.ended(id).await.unwrap().unwrap();
        assert_eq!(invocation.state, InvocationState::Ended(end));
        assert_eq!(end_of(&world, id).await, (end, reason.to_owned()));
        assert_eq!(world.runtime.started(id), 1);
    }
    let nobody = RequestId::new(NOW, [9; 10]);
    assert_eq!(handle.ended(nobody).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn the_timeout_ends_a_run() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let id = accepted(&handle, offer("hang")).await;
    let ended = handle.ended(id).await.unwrap().unwrap();
    assert_eq!(ended.state, InvocationState::Ended(End::TimedOut));
}

#[tokio::test]
async fn no_more_runs_than_slots_and_the_oldest_first() {
    let mut world = World::new();
    world.functions[0].concurrency = 3.try_into().unwrap();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    // More than the window holds, so that part of them lies in the journal alone.
    let answers = handle.try_dispatch_all(vec![offer("held"); 900]).await;
    let ids: Vec<_> = answers
        .into_iter()
        .map(|a| a.unwrap().request_id().unwrap())
        .collect();
    until(async || handle.running() == 3).await;
    assert_eq!(handle.functions()[0].running, 3);
    assert_eq!(
        (handle.queue_len(), handle.functions()[0].queued),
        (897, 897)
    );
    world.runtime.release.add_permits(900);
    for id in &ids {
        assert!(matches!(handle.ended(*id).await, Ok(Some(_))));
    }
    until(async || handle.running() == 0).await;
    assert_eq!(handle.queue_len(), 0);
    let starts = world.runtime.starts.lock().unwrap();
    assert!(starts.len() == 900 && starts.values().all(|count| *count == 1));
    // Three starts race for the ledger, so neighbours may change places.
    let order = world.runtime.order.lock().unwrap();
    for (place, id) in ids.iter().enumerate() {
        let at = order.iter().position(|one| one == id).unwrap();
        assert!(at.abs_diff(place) <= 3, "{place} came at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_expires_and_never_runs() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    accepted(&handle, offer("held")).await;
    until(async || handle.running() == 1).await;
    let answers = handle.try_dispatch_all(vec![offer("ok"); 900]).await;
    world
        .clock
        .advance(world.functions[0].max_event_age + Duration::from_millis(1));
    let fresh = accepted(&handle, offer("ok")).await;
    for answer in answers {
        let id = answer.unwrap().request_id().unwrap();
        handle.ended(id).await.unwrap().unwrap();
        assert_eq!(
            end_of(&world, id).await,
            (End::Expired, "max_event_age".to_owned())
        );
        assert_eq!(world.runtime.started(id), 0);
    }
    assert_eq!(handle.queue_len(), 1);
    world.runtime.release.add_permits(1);
    let ended = handle.ended(fresh).await.unwrap().unwrap();
    assert_eq!(ended.state, InvocationState::Ended(End::Succeeded));
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_event_accepted() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let mut call = Box::pin(handle.try_dispatch(offer("ok")));
    // The first poll hands over; nobody asks a second time.
    assert!(futures_util::poll!(&mut call).is_pending());
    drop(call);
    until(async || world.runtime.order.lock().unwrap().len() == 1).await;
    until(async || handle.queue_len() == 0 && handle.running() == 0).await;
}

#[tokio::test]
async fn a_new_life_starts_what_waits_loses_what_ran_and_cancels_what_has_no_function() {
    let mut world = World::new();
    world.functions.push(super::function("g"));
    let first = world.start().await;
    let handle = first.handle();
    let running = accepted(&handle, offer("held")).await;
    let waiting = accepted(&handle, offer("ok")).await;
    let mut orphaned = offer("held");
    orphaned.function = world.functions[1].name.clone();
    let blocker = accepted(&handle, orphaned.clone()).await;
    let orphaned = accepted(&handle, orphaned).await;
    until(async || handle.running() == 2).await;
    // As a crash: the first life writes nothing more, and its tasks are never heard of again.
    world.functions.pop();
    world.clock.advance(Duration::from_secs(5));
    let second = world.start().await;
    assert_eq!(
        end_of(&world, running).await,
        (End::Lost, "hub_restarted".to_owned())
    );
    assert_eq!(end_of(&world, blocker).await.0, End::Lost);
    assert_eq!(
        end_of(&world, orphaned).await,
        (End::Cancelled, "function_removed".to_owned())
    );
    let ended = second.handle().ended(waiting).await.unwrap().unwrap();
    assert_eq!(ended.state, InvocationState::Ended(End::Succeeded));
    assert_eq!(ended.started_at, Some(world.clock.now()));
    assert_eq!(world.runtime.started(running), 1);
    drop(first);
}
