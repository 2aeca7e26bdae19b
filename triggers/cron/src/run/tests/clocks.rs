//! Wall clocks that jump, repeat a second, or run slow; and hubs that were away for long.

use super::*;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 3_600 * SECOND;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

/// Lets `timer` see that the clock was set, as the beat does within a second.
async fn set(clock: &FollowingClock, timer: &CronTrigger, millis: i64) {
    clock.step(millis);
    timer.heartbeat.beat();
    advance(Duration::from_millis(20)).await;
}

/// Each instant fired once, in order, and was offered once.
fn in_order(around: &TestContext) -> Vec<Timestamp> {
    let accepted = around.dispatch().accepted();
    let times: Vec<Timestamp> = accepted.iter().map(|(_, offer)| offer.event.time).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert_eq!(around.dispatch().offered().len(), times.len());
    times
}

fn missed(accepted: &(RequestId, Offer)) -> Option<&str> {
    let reported = accepted.1.event.extensions.get("cronmissed");
    reported.map(String::as_str)
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_gives_one_tick_for_all_or_none() {
    for (jump, counted) in [(3 * HOUR, 1_080), (TEN_YEARS, 10_000)] {
        for (policy, fires) in [("fire_once", true), ("skip", false)] {
            let clock = FollowingClock::new();
            let around = around(&clock, None);
            let text = format!("schedule = '*/10 * * * * *'\nmisfire = '{policy}'");
            let timer = Arc::new(timer(&text));
            let run = started(&around, &timer).await;
            around.dispatch().wait_accepted(1).await;
            advance(Duration::from_secs(4)).await;
            set(&clock, &timer, jump).await;
            let accepted = around.dispatch().wait_accepted(3).await;
            let times = in_order(&around);
            if fires {
                let reported: u64 = missed(&accepted[1])
                    .expect("it was missed")
                    .parse()
                    .unwrap();
                assert_eq!(reported, counted, "{policy} {jump}");
            } else {
                assert_eq!(missed(&accepted[1]), None, "{policy} {jump}");
                let facts = run.status().facts;
                assert_eq!(facts.get("missed"), Some(&FactValue::Count(counted)));
            }
            // After the jump it goes on as before.
            assert_eq!(times[2].since(times[1]), Duration::from_secs(10));
            run.stop(STOP).await.expect("ends well");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_repeats_nothing_and_is_caught_up_with() {
    let to_1970 = -1_795_521_600_000;
    for jump in [-3 * HOUR, to_1970] {
        let clock = FollowingClock::new();
        let around = around(&clock, None);
        let timer = Arc::new(timer("schedule = '*/5 * * * * *'"));
        let run = started(&around, &timer).await;
        around.dispatch().wait_accepted(2).await;
        set(&clock, &timer, jump).await;
        run.wait_state(TriggerState::Troubled).await;
        let error = run.status().error.expect("trouble has words");
        assert!(error.contains("nothing fires until it is past"), "{error}");
        for _ in 0..10 {
            advance(Duration::from_secs(5)).await;
        }
        assert_eq!(in_order(&around).len(), 2, "set by {jump}");
        // Put right again, ten ticks on: nine are missed, and one stands for them.
        set(&clock, &timer, -jump).await;
        let accepted = around.dispatch().wait_accepted(4).await;
        assert_eq!(missed(&accepted[2]), Some("9"));
        assert_eq!(missed(&accepted[3]), None);
        in_order(&around);
        run.stop(STOP).await.expect("ends well");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_clock_ends_with_it() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let timer = Arc::new(timer("schedule = '@yearly'"));
    let run = started(&around, &timer).await;
    set(&clock, &timer, -2 * MINUTE).await;
    advance(LOOK_EVERY).await;
    run.wait_state(TriggerState::Troubled).await;
    set(&clock, &timer, 2 * MINUTE).await;
    advance(LOOK_EVERY).await;
    run.wait_state(TriggerState::Running).await;
    assert_eq!(run.status().error, None);
    run.stop(STOP).await.expect("ends well");
    assert!(around.dispatch().offered().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_second_that_comes_twice_fires_once() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let timer = Arc::new(timer("schedule = '* * * * * *'"));
    let run = started(&around, &timer).await;
    for at in [3, 6] {
        around.dispatch().wait_accepted(at).await;
        // Some time after the instant, as a leap second is put in, and a moment before the next one.
        advance(Duration::from_millis(500)).await;
        set(&clock, &timer, -SECOND).await;
    }
    around.dispatch().wait_accepted(9).await;
    let times = in_order(&around);
    let steps = times.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(steps.into_iter().all(|step| step == Duration::from_secs(1)));
    run.stop(STOP).await.expect("ends well");
}

/// A leap second spread over a day: the wall clock is up to a second away from what the sleeps are counted by.
struct SmearedClock(Arc<FollowingClock>);

impl Clock for SmearedClock {
    fn now(&self) -> Timestamp {
        let passed = self.0.started.elapsed();
        self.0.now().minus(passed / 86_401)
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_clock_is_neither_early_nor_twice() {
    let clock = Arc::new(SmearedClock(FollowingClock::new()));
    let around = TestContext::new("nightly").with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let run = started(&around, &Arc::new(timer("schedule = '@hourly'"))).await;
    for hour in 1..24 {
        advance(Duration::from_secs(3_595)).await;
        around.dispatch().wait_accepted(hour).await;
    }
    let accepted = around.dispatch().accepted();
    let times = in_order(&around);
    assert_eq!(times[22].since(times[0]), Duration::from_secs(22 * 3600));
    for (_, offer) in &accepted {
        let fired = Timestamp::parse(&offer.event.extensions["cronactual"]).expect("a time");
        assert!(fired >= offer.event.time, "{fired} is early");
    }
    run.stop(STOP).await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_was_away_makes_one_tick_of_all_it_missed() {
    for away in [0, 1, 100, 1_000_000] {
        for policy in ["fire_once", "skip"] {
            let clock = FollowingClock::new();
            let first = around(&clock, None);
            let text = format!("schedule = '* * * * * *'\nmisfire = '{policy}'");
            let run = started(&first, &Arc::new(timer(&text))).await;
            run.stop(STOP).await.expect("ends well");
            clock.step(away * SECOND + 300);
            let second = around(&clock, Some(first.dispatch()));
            let run = started(&second, &Arc::new(timer(&text))).await;
            // Up to three ticks are hardly late, one stands for the rest, and one more comes in time.
            let late = u64::try_from(away).unwrap().saturating_sub(3);
            let coalesced = u64::from(late > 0 && policy == "fire_once");
            let hardly_late = u64::try_from(away).unwrap() - late;
            let count = usize::try_from(coalesced + hardly_late + 1).unwrap();
            let accepted = second.dispatch().wait_accepted(count).await;
            run.stop(STOP).await.expect("ends well");
            let reported: Vec<&str> = accepted.iter().filter_map(missed).collect();
            let expected = if coalesced > 0 {
                vec![late.min(10_000).to_string()]
            } else {
                Vec::new()
            };
            assert_eq!(reported, expected, "{away} {policy}");
            assert!(in_order(&second).len() <= count + 1, "{away} {policy}");
        }
    }
}
