//! What comes in, and what does not.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, advance, timeout};
use tripline_journal::Journal;
use tripline_model::{
    Clock, CursorEntry, Dispatch, FunctionName, MAX_ATTRIBUTE_BYTES, Receipt, Rejected, Timestamp,
};

use super::{NOW, World, accepted, function, keyed, offer, placed, tally, trigger};

#[tokio::test(start_paused = true)]
async fn of_3000_calls_at_once_1000_are_accepted() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    for _ in 0..3 {
        let answers = join_all((0..3000).map(|_| handle.try_dispatch(offer("ok")))).await;
        assert_eq!(
            tally(&answers),
            [("new", 1000), ("over_limit", 2000)].into()
        );
        let refused = answers
            .iter()
            .find_map(|answer| answer.clone().err())
            .unwrap();
        let Rejected::OverLimit {
            retry_after,
            scope,
            limit,
        } = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!((scope.as_str(), limit), ("the hub", 1000));
        assert_eq!(retry_after, Duration::from_secs(1));
        tokio::time::advance(retry_after - Duration::from_micros(1)).await;
        assert!(handle.try_dispatch(offer("ok")).await.is_err());
        tokio::time::advance(Duration::from_micros(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_leaves_no_record() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::MIN;
    let dispatcher = world.start().await;
    let answers = dispatcher
        .handle()
        .try_dispatch_all(vec![offer("hang"); 10])
        .await;
    assert_eq!(tally(&answers), [("new", 1), ("over_limit", 9)].into());
    let page = world.journal.list(&Default::default()).await.unwrap();
    assert_eq!(page.invocations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pull_flood_leaves_push_its_share() {
    let world = World::new();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let pulls = (0..4).map(|_| handle.dispatch_all(vec![offer("ok"); 2000]));
    let began = Instant::now();
    let flood = join_all(pulls);
    let push = async {
        let mut second = Vec::new();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let answers = join_all((0..200).map(|_| handle.try_dispatch(offer("ok")))).await;
            second.push(tally(&answers)["new"]);
        }
        second
    };
    let (pulled, pushed) = tokio::join!(flood, push);
    assert_eq!(pushed, [200; 5]);
    for answers in pulled {
        assert_eq!(tally(&answers), [("new", 2000)].into());
    }
    // 8000 at no more than 800 in any second; waiting in steps of 5 ms costs little.
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(9) && took < Duration::from_secs(10),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_calls_leaves_pull_sources_what_they_wait_for() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(20).unwrap();
    let timers = (0..7).map(|n| function(&format!("timer-{n}")));
    world.functions.extend(timers);
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let began = Instant::now();
    let accepted = AtomicU64::new(0);
    let flood = async {
        loop {
            let calls = join_all((0..30).map(|_| handle.try_dispatch(offer("ok")))).await;
            let new = calls.iter().filter(|answer| answer.is_ok()).count();
            accepted.fetch_add(new as u64, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let timer = async |n| {
        let mut tick = offer("ok");
        tick.function = FunctionName::new(&format!("timer-{n}")).unwrap();
        for second in 0..12 {
            tokio::time::sleep_until(began + Duration::from_secs(second)).await;
            let answers = handle.dispatch_all(vec![tick.clone()]).await;
            assert_eq!(tally(&answers), [("new", 1)].into());
        }
    };
    tokio::select! {
        () = flood => {}
        _ = join_all((0..7).map(timer)) => {}
    }
    // Each waits for a second that is full of calls, and for no other.
    let took = began.elapsed();
    assert!(took < Duration::from_millis(12_500), "{took:?}");
    let accepted = accepted.into_inner();
    assert!(accepted >= 12 * 13, "{accepted}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_bound_keeps_nothing_from_calls() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(10).unwrap();
    world.config.trigger_qps = [(trigger("slow"), NonZeroU32::MIN)].into();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let mut slow = offer("ok");
    slow.trigger = Some(trigger("slow"));
    let pull = handle.dispatch_all(vec![slow; 3]);
    let push = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        tally(&handle.try_dispatch_all(vec![offer("ok"); 9]).await)
    };
    let (pulled, pushed) = tokio::join!(pull, push);
    assert_eq!(pushed, [("new", 9)].into());
    assert_eq!(tally(&pulled), [("new", 3)].into());
}

#[tokio::test(start_paused = true)]
async fn the_second_before_a_restart_counts() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(10).unwrap();
    world.config.trigger_qps = [(trigger("t"), NonZeroU32::new(6).unwrap())].into();
    world.functions[0].qps = NonZeroU32::new(8);
    let mut direct = offer("ok");
    direct.trigger = None;
    let offers = || [vec![offer("ok"); 10], vec![direct.clone(); 10]].concat();
    let first = world.start().await;
    let answers = first.handle().try_dispatch_all(offers()).await;
    assert_eq!(tally(&answers), [("new", 8), ("over_limit", 12)].into());
    drop(first);

    world.clock.advance(Duration::from_millis(900));
    world.functions[0].qps = NonZeroU32::new(9);
    let second = world.start().await;
    let answers = second.handle().try_dispatch_all(offers()).await;
    assert_eq!(tally(&answers), [("new", 1), ("over_limit", 19)].into());
    // An id says only the millisecond.
    advance(Duration::from_millis(101)).await;
    let answers = second.handle().try_dispatch_all(offers()).await;
    assert_eq!(tally(&answers), [("new", 8), ("over_limit", 12)].into());
    drop(second);

    // A clock that was set back tells nothing of when it was: it was just now.
    world.clock.set(NOW);
    let third = world.start().await;
    assert!(third.handle().try_dispatch(offer("ok")).await.is_err());
    advance(Duration::from_millis(1000)).await;
    let answers = third.handle().try_dispatch_all(offers()).await;
    assert_eq!(tally(&answers), [("new", 9), ("over_limit", 11)].into());
}

#[tokio::test(start_paused = true)]
async fn waiting_sources_are_served_in_turn() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(1000).unwrap();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let large = handle.dispatch_all(vec![offer("ok"); 8000]);
    let small = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        handle.dispatch_all(vec![offer("ok"); 100]).await
    };
    let small = timeout(Duration::from_millis(3000), small);
    let (large, small) = tokio::join!(large, small);
    assert_eq!(tally(&small.expect("starved")), [("new", 100)].into());
    assert_eq!(tally(&large), [("new", 8000)].into());
}

#[tokio::test(start_paused = true)]
async fn one_slow_trigger_does_not_hold_up_another() {
    let mut world = World::new();
    world.config.trigger_qps = [(trigger("slow"), NonZeroU32::MIN)].into();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let mut slow = offer("ok");
    slow.trigger = Some(trigger("slow"));
    let slow = handle.dispatch_all(vec![slow; 10]);
    let quick = timeout(
        Duration::from_secs(1),
        handle.dispatch_all(vec![offer("ok"); 500]),
    );
    let began = Instant::now();
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(tally(&quick.expect("held up")), [("new", 500)].into());
    assert_eq!(tally(&slow), [("new", 10)].into());
    assert!(began.elapsed() >= Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_its_id_even_over_the_limit() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::MIN;
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let id = accepted(&handle, keyed("ok", "k")).await;
    assert!(handle.try_dispatch(offer("ok")).await.is_err());
    let again = handle.try_dispatch(keyed("ok", "k")).await;
    assert_eq!(again, Ok(Receipt::Known(id)));
    // Also when there is still a cursor to write, which a known event may bring along.
    let mut with_cursor = keyed("ok", "k");
    let (key, value) = ("at".into(), Some("7".into()));
    with_cursor.cursors.push(CursorEntry { key, value });
    assert_eq!(
        handle.try_dispatch(with_cursor).await,
        Ok(Receipt::Known(id))
    );
    let cursors = world.journal.clone().cursors();
    assert_eq!(
        cursors.get(&trigger("t"), b"at").await.unwrap(),
        Some("7".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_gives_its_token_back() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(2).unwrap();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    for _ in 0..20 {
        handle.try_dispatch(keyed("ok", "k")).await.unwrap();
    }
    handle.try_dispatch(offer("ok")).await.unwrap();
    assert!(handle.try_dispatch(offer("ok")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_a_refused_event_of_its_stream() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(2).unwrap();
    world.functions[0].qps = NonZeroU32::new(1);
    world.functions.push(function("g"));
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let mut third = placed("ok", 3);
    third.function = FunctionName::new("g").unwrap();
    let answers = handle
        .try_dispatch_all(vec![placed("ok", 1), placed("ok", 2), third.clone()])
        .await;
    assert_eq!(tally(&answers), [("new", 1), ("over_limit", 2)].into());
    let rest = handle.dispatch_all(vec![placed("ok", 2), third]).await;
    assert_eq!(tally(&rest), [("new", 2)].into());
    assert_eq!(
        handle.try_dispatch(placed("ok", 3)).await,
        Ok(Receipt::Past)
    );
}

#[tokio::test]
async fn full_queues_refuse_push_and_hold_pull() {
    for (function, hub) in [(3, 100), (100, 3)] {
        let mut world = World::new();
        world.functions[0].max_queued = function;
        world.config.max_queued = hub;
        let dispatcher = world.start().await;
        let handle = dispatcher.handle();
        accepted(&handle, offer("held")).await;
        super::until(async || handle.running() == 1).await;
        let answers = join_all((0..10).map(|_| handle.try_dispatch(offer("held")))).await;
        assert_eq!(tally(&answers), [("new", 3), ("queue_full", 7)].into());
        let pull = handle.dispatch_all(vec![offer("held"); 5]);
        let free = async {
            for waiting in 0..9 {
                super::until(async || world.runtime.order.lock().unwrap().len() > waiting).await;
                world.runtime.release.add_permits(1);
            }
        };
        let (answers, ()) = tokio::join!(pull, free);
        assert_eq!(tally(&answers), [("new", 5)].into());
    }
}

#[tokio::test]
async fn what_can_never_come_in_is_refused_for_good() {
    let mut world = World::new();
    world.config.max_event_bytes = 100_000;
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let mut unknown = offer("ok");
    unknown.function = FunctionName::new("nobody").unwrap();
    let mut large = offer("ok");
    large.event.data = Some(vec![0; 100_000].into());
    let mut invalid = offer("ok");
    invalid.event.id.clear();
    let mut wordy = offer("ok");
    wordy.event.subject = Some("s".repeat(MAX_ATTRIBUTE_BYTES));
    let offers = vec![unknown, large, wordy, invalid, offer("ok")];
    let words = [
        ("unknown_function", 1),
        ("too_large", 1),
        ("attributes_too_large", 1),
        ("invalid", 1),
        ("new", 1),
    ]
    .into();
    assert_eq!(tally(&handle.try_dispatch_all(offers.clone()).await), words);
    assert_eq!(tally(&handle.dispatch_all(offers).await), words);
}

#[tokio::test(start_paused = true)]
async fn a_batch_above_the_limit_is_accepted_when_it_is_offered_again() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(2).unwrap();
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    let batch = || (0..5).map(|n| keyed("ok", &format!("key-{n}"))).collect();
    let mut tallies = Vec::new();
    for _ in 0..3 {
        tallies.push(tally(&handle.try_dispatch_all(batch()).await));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // Those that are in already take nothing from those that are not.
    assert_eq!(
        tallies,
        [
            [("new", 2), ("over_limit", 3)].into(),
            [("known", 2), ("new", 2), ("over_limit", 1)].into(),
            [("known", 4), ("new", 1)].into(),
        ]
    );
}

/// Shows the time that tests move. Whoever looks at it is held up before or after, now and then.
struct HoldsUp {
    began: Instant,
    looks: AtomicU64,
}

impl Clock for HoldsUp {
    fn now(&self) -> Timestamp {
        let look = self.looks.fetch_add(1, Ordering::Relaxed) % 5;
        let hold_up = |held: bool| {
            let time = if held { 400 } else { 0 };
            advance(Duration::from_millis(time)).now_or_never();
        };
        hold_up(look == 0);
        let now = NOW.plus(Instant::now() - self.began);
        hold_up(look == 3);
        now
    }
}

#[tokio::test(start_paused = true)]
async fn no_second_of_the_records_has_more_than_the_limit_wherever_one_is_held_up() {
    let mut world = World::new();
    world.config.qps = NonZeroU32::new(2).unwrap();
    let clock = Arc::new(HoldsUp {
        began: Instant::now(),
        looks: AtomicU64::new(0),
    });
    let dispatcher = world.start_by(clock, world.journal.clone()).await;
    let handle = dispatcher.handle();
    let mut moments = Vec::new();
    for _ in 0..60 {
        advance(Duration::from_millis(70)).await;
        if let Ok(Receipt::New(id)) = handle.try_dispatch(offer("ok")).await {
            moments.push(id.timestamp().as_millis());
        }
    }
    assert!(moments.len() > 6, "{moments:?}");
    let close = moments.windows(3).find(|three| three[2] - three[0] < 1000);
    assert_eq!(close, None, "{moments:?}");
}
