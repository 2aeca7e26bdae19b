//! What happens at the very instant of a tick, and to very many ticks on one instant.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pause_at_the_very_tick_fires_it_once_or_never() {
    let (mut fired, mut withdrawn) = (0, 0);
    for offset in -3_i64..=3 {
        let clock = FollowingClock::new();
        let around = around(&clock, None);
        let timer = Arc::new(timer("schedule = '*/10 * * * * *'"));
        let run = started(&around, &timer).await;
        let until = u64::try_from(10_000 + offset).unwrap();
        sleep(Duration::from_millis(until)).await;
        pause(run, &around, &timer).await;
        let at_the_pause = around.dispatch().accepted().len();
        match at_the_pause {
            0 => withdrawn += 1,
            _ => fired += 1,
        }
        let run = started(&around, &timer).await;
        around.dispatch().wait_accepted(at_the_pause + 1).await;
        let accepted = around.dispatch().wait_accepted(at_the_pause + 2).await;
        run.stop(STOP).await.expect("ends well");
        let expected = ["12:00:10", "12:00:20", "12:00:30"];
        let times = times(&accepted);
        let since = if times[0] == expected[0] { 0 } else { 1 };
        assert_eq!(times, expected[since..since + times.len()], "{offset} ms");
    }
    assert!(
        fired > 0 && withdrawn > 0,
        "{fired} fired, {withdrawn} were withdrawn"
    );
}

#[tokio::test(start_paused = true)]
async fn a_schedule_edited_at_the_very_tick_does_not_fire_that_instant_again() {
    let clock = FollowingClock::new();
    let first = around(&clock, None);
    let run = started(&first, &Arc::new(timer("schedule = '*/10 * * * * *'"))).await;
    first.dispatch().wait_accepted(1).await;
    run.stop(STOP).await.expect("ends well");
    let second = around(&clock, Some(first.dispatch()));
    let edited = "schedule = '10,25 * * * * *'";
    let run = started(&second, &Arc::new(timer(edited))).await;
    let accepted = second.dispatch().wait_accepted(2).await;
    assert_eq!(times(&accepted), ["12:00:10", "12:00:25"]);
    run.stop(STOP).await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_timers_on_one_second_all_fire_once() {
    const TIMERS: usize = 10_000;
    let clock = FollowingClock::new();
    let hub = Arc::clone(around(&clock, None).dispatch());
    let first = timer("schedule = '5 0 12 * * *'");
    let mut runs = Vec::new();
    for n in 0..TIMERS {
        let one = CronTrigger::new(first.config.clone(), Arc::clone(&first.heartbeat));
        let around = TestContext::new(&format!("timer-{n}"))
            .with_clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .with_dispatch(Arc::clone(&hub));
        runs.push(around.run(Arc::new(one)));
    }
    let accepted = hub.wait_accepted(TIMERS).await;
    for run in runs {
        run.stop(STOP).await.expect("ends well");
    }
    assert_eq!(hub.offered().len(), TIMERS);
    let ids: std::collections::HashSet<&str> = accepted
        .iter()
        .map(|(_, offer)| offer.event.id.as_str())
        .collect();
    assert_eq!(ids.len(), TIMERS);
    let fired_at = |offer: &Offer| offer.event.extensions["cronactual"].clone();
    let early = accepted
        .iter()
        .filter(|(_, offer)| fired_at(offer) < offer.event.time.to_string());
    assert_eq!(early.count(), 0);
}
