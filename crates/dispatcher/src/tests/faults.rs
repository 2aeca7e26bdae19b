//! A full disk, a failed flush, and a journal that is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;
use tripline_journal::{Health, Journal, JournalError};
use tripline_model::{Dispatch, End, InvocationState, Receipt, Rejected, RequestId};

use super::yielding::{Write, Yielding};
use super::{World, accepted, keyed, offer, tally, trigger, until};
use crate::Dispatcher;
use crate::counts::InvocationCounts;

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_push_holds_pull_and_lets_work_end() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let running = accepted(&handle, offer("held")).await;
    let known = accepted(&handle, keyed("ok", "k")).await;
    until(async || handle.running() == 1).await;
    world.journal.set_health(Health::Full);
    assert_eq!(
        handle.try_dispatch(offer("ok")).await,
        Err(Rejected::StorageFull)
    );
    // What is known is answered without a write.
    assert_eq!(
        handle.try_dispatch(keyed("ok", "k")).await,
        Ok(Receipt::Known(known))
    );
    world.runtime.release.add_permits(1);
    for id in [running, known] {
        let ended = handle.ended(id).await.unwrap().unwrap();
        assert_eq!(ended.state, InvocationState::Ended(End::Succeeded));
    }
    let pull = handle.dispatch_all(vec![offer("ok"); 3]);
    let room = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        world.journal.set_health(Health::Ok);
    };
    let (answers, ()) = tokio::join!(pull, room);
    assert_eq!(tally(&answers), [("new", 3)].into());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_during_the_hand_over_gives_back_what_was_taken() {
    let mut world = World::new();
    world.config.qps = 3.try_into().unwrap();
    world.config.push_share_percent = 0;
    let journal = Arc::new(Yielding::new(world.journal.clone(), 1));
    let dispatcher = world.start_over(journal.clone()).await;
    let handle = dispatcher.handle();
    let full = (Write::Accept, JournalError::Full);
    journal
        .failures
        .lock()
        .unwrap()
        .extend([full.clone(), full]);
    let refused = handle.try_dispatch_all(vec![offer("ok"); 3]).await;
    assert_eq!(tally(&refused), [("storage_full", 3)].into());
    let pulled = timeout(
        Duration::from_millis(900),
        handle.dispatch_all(vec![offer("ok"); 3]),
    );
    assert_eq!(tally(&pulled.await.unwrap()), [("new", 3)].into());
}

#[tokio::test(start_paused = true)]
async fn a_failed_flush_is_unknown_and_ends_the_hub() {
    let world = World::new();
    let journal = Arc::new(Yielding::new(world.journal.clone(), 1));
    let dispatcher = world.start_over(journal.clone()).await;
    let handle = dispatcher.handle();
    let poisoned = JournalError::Poisoned("fsync: EIO".to_owned());
    journal
        .failures
        .lock()
        .unwrap()
        .push_back((Write::Accept, poisoned));
    assert_eq!(
        handle.try_dispatch(offer("ok")).await,
        Err(Rejected::Unknown)
    );
    assert_eq!(dispatcher.failure().await, "fsync: EIO");
    let answers = handle.dispatch_all(vec![offer("ok"); 3]).await;
    assert_eq!(tally(&answers), [("unavailable", 3)].into());
    timeout(Duration::from_secs(1), dispatcher.shutdown())
        .await
        .unwrap();
    assert!(world.runtime.order.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_start_of_which_nothing_is_known_is_not_run() {
    let world = World::new();
    let journal = Arc::new(Yielding::new(world.journal.clone(), 1));
    let dispatcher = world.start_over(journal.clone()).await;
    let poisoned = JournalError::Poisoned("fsync: EIO".to_owned());
    journal
        .failures
        .lock()
        .unwrap()
        .push_back((Write::Start, poisoned));
    let handle = dispatcher.handle();
    let ids = handle.try_dispatch_all(vec![offer("ok"); 2]).await;
    dispatcher.failure().await;
    dispatcher.shutdown().await;
    for receipt in ids {
        assert_eq!(
            world
                .runtime
                .started(receipt.unwrap().request_id().unwrap()),
            0
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_not_recorded_still_waits() {
    for error in [
        JournalError::Full,
        JournalError::Unavailable("away".to_owned()),
    ] {
        let world = World::new();
        let journal = Arc::new(Yielding::new(world.journal.clone(), 1));
        let dispatcher = world.start_over(journal.clone()).await;
        journal
            .failures
            .lock()
            .unwrap()
            .push_back((Write::Start, error));
        let handle = dispatcher.handle();
        let id = accepted(&handle, offer("ok")).await;
        let ended = handle.ended(id).await.unwrap().unwrap();
        assert_eq!(ended.state, InvocationState::Ended(End::Succeeded));
        assert_eq!(world.runtime.started(id), 1);
    }
}

/// A hub over a journal that can fail, in whose only slot something runs.
pub(super) async fn with_a_run() -> (World, Arc<Yielding>, Dispatcher, RequestId) {
    let world = World::new();
    let journal = Arc::new(Yielding::new(world.journal.clone(), 1));
    let dispatcher = world.start_over(journal.clone()).await;
    let handle = dispatcher.handle();
    let id = accepted(&handle, offer("held")).await;
    until(async || handle.running() == 1).await;
    (world, journal, dispatcher, id)
}

/// Those who wait for it hear of it, and it is counted.
#[tokio::test(start_paused = true)]
async fn a_start_that_finds_no_record_is_an_end() {
    let (world, journal, dispatcher, _) = with_a_run().await;
    let handle = dispatcher.handle();
    let id = accepted(&handle, offer("ok")).await;
    let gone = (Write::Start, JournalError::NotFound(id));
    journal.failures.lock().unwrap().push_back(gone);
    let waiter = handle.0.ends.join(id);
    let told = timeout(Duration::from_secs(5), waiter.news.notified());
    world.runtime.release.add_permits(1);
    told.await.expect("it is told");
    until(async || handle.running() == 0 && handle.queue_len() == 0).await;
    assert_eq!(world.runtime.started(id), 0);
    assert_eq!(handle.0.places.load(Ordering::Acquire), 0);
    let mut counts = InvocationCounts::default();
    for end in [End::Succeeded, End::Cancelled] {
        counts.accepted(Some(&trigger("t")));
        if end == End::Succeeded {
            counts.started();
        }
        counts.ended(end);
    }
    let lane = handle.0.lanes.values().next().unwrap();
    assert_eq!(*lane.counts(), counts);
}

/// The record of what runs is damaged, so that its end cannot be written.
#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_recorded_is_told_and_counted() {
    let (world, journal, dispatcher, id) = with_a_run().await;
    let handle = dispatcher.handle();
    let damaged = (Write::Finish, JournalError::Damaged(id));
    journal.failures.lock().unwrap().push_back(damaged);
    let waiter = handle.0.ends.join(id);
    let told = timeout(Duration::from_secs(5), waiter.news.notified());
    world.runtime.release.add_permits(1);
    told.await.expect("it is told");
    until(async || handle.running() == 0).await;
    let mut counts = InvocationCounts::default();
    counts.accepted(Some(&trigger("t")));
    counts.started();
    counts.ended(End::Succeeded);
    let lane = handle.0.lanes.values().next().unwrap();
    assert_eq!(*lane.counts(), counts);
    assert!(!handle.0.has_failed());
}

/// SQLite cannot write what it cannot find in its index: the event waits, and nothing behind it does.
#[tokio::test(start_paused = true)]
async fn a_start_that_finds_a_damaged_record_is_passed_over() {
    let (world, journal, dispatcher, _) = with_a_run().await;
    let handle = dispatcher.handle();
    let id = accepted(&handle, offer("ok")).await;
    let damaged = (Write::Start, JournalError::Damaged(id));
    journal.failures.lock().unwrap().push_back(damaged);
    world.runtime.release.add_permits(1);
    until(async || journal.failures.lock().unwrap().is_empty()).await;
    let later = accepted(&handle, offer("ok")).await;
    assert!(matches!(handle.ended(later).await, Ok(Some(_))));
    assert_eq!((world.runtime.started(id), handle.queue_len()), (0, 1));
    assert_eq!(handle.0.places.load(Ordering::Acquire), 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_is_written_again_and_the_run_is_not() {
    let world = World::new();
    let journal = Arc::new(Yielding::new(world.journal.clone(), 1));
    let dispatcher = world.start_over(journal.clone()).await;
    for _ in 0..5 {
        let away = JournalError::Unavailable("away".to_owned());
        journal
            .failures
            .lock()
            .unwrap()
            .push_back((Write::Finish, away));
    }
    let handle = dispatcher.handle();
    let id = accepted(&handle, offer("fail")).await;
    let ended = handle.ended(id).await.unwrap().unwrap();
    assert_eq!(ended.state, InvocationState::Ended(End::Failed));
    assert_eq!(world.runtime.started(id), 1);
    assert!(journal.failures.lock().unwrap().is_empty());
    assert_eq!(journal.health(), Health::Ok);
}
