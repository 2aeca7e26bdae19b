//! What the disk changed while it waited: it is not run, and holds up nobody.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tripline_journal::{Journal, JournalError};
use tripline_model::{DAMAGED, Dispatch, End, InvocationState, RequestId};

use super::faults::with_a_run;
use super::yielding::{Write, Yielding};
use super::{World, accepted, offer, trigger, until};
use crate::counts::InvocationCounts;
use crate::{Dispatcher, DispatcherHandle};

/// A hub in whose only slot something runs, and 600 events that wait: more than the window holds, so that the last 88
/// are read from the journal.
struct Backlog {
    world: World,
    journal: Arc<Yielding>,
    _dispatcher: Dispatcher,
    handle: DispatcherHandle,
    ids: Vec<RequestId>,
}

impl Backlog {
    async fn new() -> Self {
        let (world, journal, dispatcher, _) = with_a_run().await;
        let handle = dispatcher.handle();
        let answers = handle.try_dispatch_all(vec![offer("ok"); 600]).await;
        let ids = answers.into_iter().map(|one| one.unwrap().request_id());
        Self {
            ids: ids.map(Option::unwrap).collect(),
            world,
            journal,
            _dispatcher: dispatcher,
            handle,
        }
    }

    fn fail_to_cancel(&self, errors: impl IntoIterator<Item = JournalError>) {
        let failures = errors
            .into_iter()
            .map(|error| (Write::CancelDamaged, error));
        self.journal.failures.lock().unwrap().extend(failures);
    }

    /// Lets go of what runs.
    fn go_on(&self) {
        self.world.runtime.release.add_permits(1);
    }

    async fn is_cancelled(&self, id: RequestId) {
        let ended = self.handle.ended(id).await.unwrap().unwrap();
        let ending = ended.ending.unwrap();
        assert_eq!((ending.end, &ending.reason[..]), (End::Cancelled, DAMAGED));
    }

    fn places(&self) -> u64 {
        self.handle.0.places.load(Ordering::Acquire)
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_not_run_and_holds_up_nobody() {
    let backlog = Backlog::new().await;
    let (handle, ids) = (&backlog.handle, &backlog.ids);
    for id in &ids[570..573] {
        backlog.world.journal.damage(*id);
    }
    backlog.fail_to_cancel([JournalError::Damaged(ids[570])]);
    backlog.go_on();
    let last = handle.ended(ids[599]).await.unwrap().unwrap();
    let later = accepted(handle, offer("ok")).await;
    let later = handle.ended(later).await.unwrap().unwrap();
    for one in [last, later] {
        assert_eq!(one.state, InvocationState::Ended(End::Succeeded));
    }
    for id in &ids[571..573] {
        backlog.is_cancelled(*id).await;
    }
    for (place, id) in ids.iter().enumerate() {
        let expected = u32::from(!(570..573).contains(&place));
        assert_eq!(backlog.world.runtime.started(*id), expected, "{place}");
    }
    // The one that could not even be ended, and no other.
    until(async || handle.running() == 0).await;
    assert_eq!(handle.queue_len(), 1);
    assert!(backlog.world.journal.get(ids[570]).await.is_err());
    let mut counts = InvocationCounts::default();
    for _ in 0..602 {
        counts.accepted(Some(&trigger("t")));
    }
    for _ in 0..599 {
        counts.started();
        counts.ended(End::Succeeded);
    }
    (0..2).for_each(|_| counts.ended(End::Cancelled));
    let lane = handle.0.lanes.values().next().unwrap();
    assert_eq!(*lane.counts(), counts);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_away_for_a_moment_is_asked_again() {
    let backlog = Backlog::new().await;
    for id in &backlog.ids[512..] {
        backlog.world.journal.damage(*id);
    }
    let away = || JournalError::Unavailable("database is locked".to_owned());
    backlog.fail_to_cancel([away(), JournalError::Full, away()]);
    backlog.go_on();
    let lane = backlog.handle.0.lanes.values().next().unwrap();
    let left = async |most: usize| {
        let failures = || backlog.journal.failures.lock().unwrap().len();
        until(async || failures() <= most).await;
    };
    left(2).await;
    let began = Instant::now();
    drop(lane.feed.lock().await);
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "others wait for it meanwhile"
    );
    until(async || backlog.handle.queue_len() == 0).await;
    for id in &backlog.ids[512..] {
        backlog.is_cancelled(*id).await;
    }
    assert_eq!(backlog.places(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_passed_over_expires_and_gives_its_place_back() {
    let backlog = Backlog::new().await;
    let id = backlog.ids[599];
    backlog.world.journal.damage(id);
    backlog.fail_to_cancel([JournalError::Damaged(id)]);
    backlog.go_on();
    until(async || backlog.handle.running() == 0 && backlog.handle.queue_len() == 1).await;
    assert_eq!(backlog.places(), 1);
    let age = super::function("f").max_event_age;
    backlog.world.clock.advance(age + Duration::from_secs(1));
    until(async || backlog.handle.queue_len() == 0).await;
    assert_eq!(backlog.places(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_whole_when_it_is_read_again_is_run_in_its_turn() {
    let backlog = Backlog::new().await;
    let misread = backlog.ids.iter().copied().skip(512).step_by(2);
    backlog.journal.misread.lock().unwrap().extend(misread);
    let began = Instant::now();
    backlog.go_on();
    until(async || backlog.handle.queue_len() == 0).await;
    let order = backlog.world.runtime.order.lock().unwrap().clone();
    assert!(order[1..] == backlog.ids, "the oldest first");
    assert!(began.elapsed() < Duration::from_millis(500), "at once");
    assert_eq!(backlog.places(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_when_it_is_read_again_holds_up_nobody() {
    let backlog = Backlog::new().await;
    let nobody = (0..30).map(|n| RequestId::new(super::NOW, [n; 10]));
    backlog.journal.misread.lock().unwrap().extend(nobody);
    let began = Instant::now();
    backlog.go_on();
    until(async || backlog.handle.queue_len() == 0).await;
    assert!(began.elapsed() < Duration::from_millis(500), "at once");
    assert!(!backlog.handle.0.has_failed());
    assert_eq!(backlog.places(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_and_not_found_is_noticed() {
    for missing in [0, 1] {
        let world = World::new();
        let first = world.start().await;
        accepted(&first.handle(), offer("held")).await;
        let waiting = accepted(&first.handle(), offer("ok")).await;
        first.shutdown().await;
        let journal = Arc::new(Yielding::new(world.journal.clone(), 1));
        journal.missing.store(missing, Ordering::Relaxed);
        let second = world.start_over(journal).await;
        let handle = second.handle();
        let later = accepted(&handle, offer("ok")).await;
        for id in [waiting, later] {
            assert!(matches!(handle.ended(id).await, Ok(Some(_))));
        }
        until(async || handle.running() == 0 && handle.queue_len() == missing).await;
        let lane = handle.0.lanes.values().next().unwrap();
        until(async || lane.has_missing() == (missing > 0)).await;
        second.shutdown().await;
        assert_eq!(lane.has_missing(), missing > 0);
    }
}
