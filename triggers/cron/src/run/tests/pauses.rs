//! Pauses: what was due in one never fires, whatever happens to the hub meanwhile.

use tripline_trigger::Supervisor;

use super::*;

const EVERY_TEN: &str = "schedule = '*/10 * * * * *'";

/// One life of a hub, with one timer.
fn life(around: &TestContext, enabled: bool) -> Supervisor {
    let timer = around.supervised(timer(EVERY_TEN), enabled);
    Supervisor::start(vec![timer], &around.ports())
}

async fn stopped(supervisor: Supervisor) {
    assert_eq!(supervisor.stop(STOP).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_not_caught_up_with_after_a_restart_of_the_hub() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let hub = life(&around, true);
    around.dispatch().wait_accepted(1).await;
    let paused = hub.triggers().pause(around.name()).await;
    assert_eq!(paused.expect("it is there").state, TriggerState::Paused);
    advance(Duration::from_secs(30)).await;
    stopped(hub).await;
    let hub = life(&around, true);
    let accepted = around.dispatch().wait_accepted(2).await;
    assert_eq!(times(&accepted), ["12:00:10", "12:00:50"]);
    stopped(hub).await;
}

#[tokio::test(start_paused = true)]
async fn nor_is_the_time_for_which_it_was_not_enabled() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let hub = life(&around, true);
    around.dispatch().wait_accepted(1).await;
    stopped(hub).await;
    let hub = life(&around, false);
    advance(Duration::from_secs(30)).await;
    stopped(hub).await;
    let hub = life(&around, true);
    let accepted = around.dispatch().wait_accepted(2).await;
    assert_eq!(times(&accepted), ["12:00:10", "12:00:50"]);
    stopped(hub).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_in_a_pause_is_told_after_it() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let timer = Arc::new(timer(EVERY_TEN));
    let run = started(&around, &timer).await;
    around.dispatch().wait_accepted(1).await;
    pause(run, &around, &timer).await;
    clock.step(-3_600_000);
    let run = around.run(timer);
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    let until = "this timer has come to 2026-11-24T12:00:10";
    assert!(error.contains(until), "{error}");
    // Its ticks until then were dealt with once, and are not offered again.
    advance(Duration::from_secs(60)).await;
    assert_eq!(around.dispatch().offered().len(), 1);
    assert_eq!(
        run.status().facts["next_fire"].to_string(),
        "2026-11-24T12:00:20.000Z"
    );
    run.stop(STOP).await.expect("ends well");
}
