//! Whole runs of a timer, in tokio's paused time: the wall clock of these tests goes with it, and can be set.

mod clocks;
mod edges;
mod lateness;
mod pauses;
mod slow_disk;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use tokio::time::{Instant, advance};
use tripline_config::Document;
use tripline_model::{Clock, Offer, RequestId};
use tripline_trigger::testkit::{RecordingDispatch, Run, Style, Subject, TestContext, contract};
use tripline_trigger::{FactValue, TriggerState};

use super::*;

const STOP: Duration = Duration::from_secs(5);

/// Wall time that passes as tokio's does, from 2026-11-24T12:00:00Z on.
struct FollowingClock {
    started: Instant,
    shown_at_start: AtomicI64,
}

impl FollowingClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            shown_at_start: AtomicI64::new(1_795_521_600_000),
        })
    }

    fn step(&self, millis: i64) {
        self.shown_at_start.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for FollowingClock {
    fn now(&self) -> Timestamp {
        let start = self.shown_at_start.load(Ordering::SeqCst);
        Timestamp::from_millis(start).plus(self.started.elapsed())
    }
}

fn timer(text: &str) -> CronTrigger {
    let config = Document::new("f", text)
        .read(crate::config::Config::read)
        .expect("a table of the test");
    CronTrigger::new(config, Arc::default())
}

fn around(clock: &Arc<FollowingClock>, hub: Option<&Arc<RecordingDispatch>>) -> TestContext {
    let context = TestContext::new("nightly").with_clock(Arc::clone(clock) as Arc<dyn Clock>);
    match hub {
        Some(hub) => context.with_dispatch(Arc::clone(hub)),
        None => context,
    }
}

async fn started(around: &TestContext, timer: &Arc<CronTrigger>) -> Run {
    let run = around.run(Arc::clone(timer));
    run.wait_state(TriggerState::Running).await;
    run
}

/// What the supervisor does at a pause.
async fn pause(run: Run, around: &TestContext, timer: &CronTrigger) {
    run.stop(STOP).await.expect("ends well");
    let noted = timer.paused(around.context()).await;
    noted.expect("it is noted");
}

fn times(accepted: &[(RequestId, Offer)]) -> Vec<String> {
    let time = |offer: &Offer| offer.event.time.to_string()[11..19].to_owned();
    accepted.iter().map(|(_, offer)| time(offer)).collect()
}

#[tokio::test(start_paused = true)]
async fn fires_at_the_instant_with_everything_told() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let text = "schedule = '*/2 * * * * *'\ntimezone = 'Europe/Berlin'\npayload = '{}'";
    let run = started(&around, &Arc::new(timer(text))).await;
    let accepted = around.dispatch().wait_accepted(3).await;
    assert_eq!(times(&accepted), ["12:00:02", "12:00:04", "12:00:06"]);
    let event = &accepted[0].1.event;
    assert_eq!(event.id, "nightly@2026-11-24T12:00:02.000Z");
    assert_eq!(event.kind, "tripline.cron.tick.v1");
    assert_eq!(event.source, "/triggers/nightly");
    assert_eq!(event.data.as_deref(), Some(b"{}".as_slice()));
    assert_eq!(event.content_type.as_deref(), Some("application/json"));
    let extension = |name: &str| event.extensions.get(name).map(String::as_str);
    assert_eq!(
        extension("cronscheduled"),
        Some("2026-11-24T13:00:02+01:00")
    );
    assert_eq!(extension("crontimezone"), Some("Europe/Berlin"));
    assert_eq!(extension("cronmisfired"), None);
    let actual = extension("cronactual")
        .and_then(Timestamp::parse)
        .expect("a time");
    let late = actual.since(event.time);
    assert!(
        actual >= event.time && late < Duration::from_millis(5),
        "{late:?}"
    );
    run.stop(STOP).await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn a_restart_neither_repeats_nor_forgets_a_tick() {
    let clock = FollowingClock::new();
    let first = around(&clock, None);
    let run = started(&first, &Arc::new(timer("schedule = '* * * * * *'"))).await;
    first.dispatch().wait_accepted(2).await;
    run.stop(STOP).await.expect("ends well");
    advance(Duration::from_millis(1500)).await;
    let second = around(&clock, Some(first.dispatch()));
    let run = started(&second, &Arc::new(timer("schedule = '* * * * * *'"))).await;
    let accepted = second.dispatch().wait_accepted(5).await;
    let expected = ["12:00:01", "12:00:02", "12:00:03", "12:00:04", "12:00:05"];
    assert_eq!(times(&accepted)[..5], expected);
    assert_eq!(
        second.dispatch().offered().len(),
        accepted.len(),
        "each is offered once"
    );
    run.stop(STOP).await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn a_tick_missed_before_the_first_one_ever_is_made_up_for() {
    let clock = FollowingClock::new();
    let first = around(&clock, None);
    let run = started(&first, &Arc::new(timer("schedule = '10 0 12 * * *'"))).await;
    run.stop(STOP).await.expect("ends well");
    advance(Duration::from_secs(60)).await;
    let second = around(&clock, Some(first.dispatch()));
    let run = started(&second, &Arc::new(timer("schedule = '10 0 12 * * *'"))).await;
    let accepted = second.dispatch().wait_accepted(1).await;
    assert_eq!(times(&accepted), ["12:00:10"]);
    let extensions = &accepted[0].1.event.extensions;
    assert_eq!(
        extensions.get("cronmisfired").map(String::as_str),
        Some("true")
    );
    assert_eq!(extensions.get("cronmissed").map(String::as_str), Some("1"));
    run.stop(STOP).await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn neither_a_changed_schedule_nor_a_pause_is_caught_up_with() {
    let clock = FollowingClock::new();
    let first = around(&clock, None);
    let every_ten = Arc::new(timer("schedule = '*/10 * * * * *'"));
    let run = started(&first, &every_ten).await;
    first.dispatch().wait_accepted(1).await;
    pause(run, &first, &every_ten).await;
    advance(Duration::from_secs(30)).await;
    let run = started(&first, &every_ten).await;
    let accepted = first.dispatch().wait_accepted(2).await;
    assert_eq!(times(&accepted), ["12:00:10", "12:00:50"]);
    run.stop(STOP).await.expect("ends well");
    advance(Duration::from_secs(30)).await;
    let second = around(&clock, Some(first.dispatch()));
    let run = started(
        &second,
        &Arc::new(timer("schedule = '5,15,25,35,45,55 * * * * *'")),
    )
    .await;
    let accepted = second.dispatch().wait_accepted(3).await;
    assert_eq!(times(&accepted)[2], "12:01:25");
    run.stop(STOP).await.expect("ends well");
    // Back to the first schedule: its old watermark must not bring anything back.
    advance(Duration::from_secs(30)).await;
    let third = around(&clock, Some(first.dispatch()));
    let run = started(&third, &Arc::new(timer("schedule = '*/10 * * * * *'"))).await;
    let accepted = third.dispatch().wait_accepted(4).await;
    assert_eq!(times(&accepted)[3], "12:02:00");
    run.stop(STOP).await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn no_room_within_the_deadline_gives_the_tick_up_for_good() {
    let clock = FollowingClock::new();
    let first = around(&clock, None);
    let text = "schedule = '5 0 12 * * *'\nmisfire_deadline = '10s'";
    first.dispatch().reject_all(Some(Rejected::OverLimit {
        retry_after: Duration::from_millis(100),
        scope: "the hub".to_owned(),
        limit: 1,
    }));
    let run = started(&first, &Arc::new(timer(text))).await;
    run.wait_state(TriggerState::Troubled).await;
    let status = run.status();
    assert_eq!(status.facts.get("missed"), Some(&FactValue::Count(1)));
    let error = status.error.expect("trouble has words");
    assert!(
        error.contains("no room within `misfire_deadline`"),
        "{error}"
    );
    // That the clock is right does not end it.
    advance(2 * LOOK_EVERY).await;
    assert_eq!(run.status().state, TriggerState::Troubled);
    run.stop(STOP).await.expect("ends well");
    first.dispatch().reject_all(None);
    let second = around(&clock, Some(first.dispatch()));
    let run = started(&second, &Arc::new(timer(text))).await;
    advance(Duration::from_secs(60)).await;
    run.stop(STOP).await.expect("ends well");
    assert!(
        second.dispatch().accepted().is_empty(),
        "given up is given up"
    );
}

/// Who lets go of an offer does not know whether it is on its way to the disk.
#[tokio::test(start_paused = true)]
async fn a_tick_that_was_taken_too_late_is_not_given_up() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let text = "schedule = '5 0 12 * * *'\nmisfire_deadline = '10s'";
    around.dispatch().hold();
    let run = started(&around, &Arc::new(timer(text))).await;
    around.dispatch().wait_offered(1).await;
    advance(Duration::from_secs(60)).await;
    assert_eq!(run.status().facts.get("missed"), Some(&FactValue::Count(0)));
    around.dispatch().release();
    let accepted = around.dispatch().wait_accepted(1).await;
    assert_eq!(times(&accepted), ["12:00:05"]);
    run.wait_state(TriggerState::Running).await;
    run.stop(STOP).await.expect("ends well");
    assert_eq!(around.dispatch().accepted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_withdraws_the_tick_and_leaves_other_timers_alone() {
    let clock = FollowingClock::new();
    let (first, second) = (around(&clock, None), around(&clock, None));
    let paused = timer("schedule = '10 0 12 * * *'");
    let going_on = CronTrigger::new(paused.config.clone(), Arc::clone(&paused.heartbeat));
    let paused_run = started(&first, &Arc::new(paused)).await;
    let run = started(&second, &Arc::new(going_on)).await;
    advance(Duration::from_secs(5)).await;
    paused_run.stop(STOP).await.expect("ends well");
    let accepted = second.dispatch().wait_accepted(1).await;
    assert_eq!(times(&accepted), ["12:00:10"]);
    run.stop(STOP).await.expect("ends well");
    assert!(first.dispatch().offered().is_empty(), "it was withdrawn");
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_is_noticed_at_the_next_beat() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let timer = Arc::new(timer("schedule = '0 0 13 * * *'"));
    let run = started(&around, &timer).await;
    let before = Instant::now();
    clock.step(3_600_500);
    timer.heartbeat.beat();
    let accepted = around.dispatch().wait_accepted(1).await;
    assert_eq!(times(&accepted), ["13:00:00"]);
    assert!(before.elapsed() < Duration::from_secs(1));
    // Set back, it is silent and says why; the same instant does not fire again.
    clock.step(-3_600_000);
    timer.heartbeat.beat();
    run.wait_state(TriggerState::Troubled).await;
    assert_eq!(around.dispatch().offered().len(), 1);
    run.stop(STOP).await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn a_lost_disk_ends_the_run_with_the_reason() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    around
        .cursors()
        .fail(Some(tripline_model::CursorError("disk gone".to_owned())));
    let run = around.run(Arc::new(timer("schedule = '@daily'")));
    let error = run.ended().await.expect_err("nothing can be kept");
    assert_eq!(error.to_string(), "how far the timer came cannot be read");
}

/// The contract's source: a clock that is moved on by hand, one tick a second.
struct Ticking(Arc<CronTrigger>);

#[async_trait]
impl Subject for Ticking {
    type Trigger = CronTrigger;

    fn style(&self) -> Style {
        Style::Pull
    }

    fn trigger(&self) -> Arc<CronTrigger> {
        Arc::clone(&self.0)
    }

    async fn produce(&self, around: &TestContext, count: usize) {
        around.clock().advance(Duration::from_secs(count as u64));
        self.0.heartbeat.beat();
    }

    async fn settled(&self, around: &TestContext) -> usize {
        around.dispatch().accepted().len()
    }
}

#[tokio::test]
async fn keeps_the_contract() {
    contract(async || {
        let timer = timer("schedule = '* * * * * *'");
        Ticking(Arc::new(timer.with_grace(Duration::from_secs(60))))
    })
    .await;
}
