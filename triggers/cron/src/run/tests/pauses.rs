//! Pauses: what was due in one never fires, whatever becomes of the hub meanwhile.

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
