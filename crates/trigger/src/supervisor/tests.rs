mod pauses;

use super::*;
use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};
use tripline_model::{Event, Identity, Rejected, Timestamp};

use crate::testkit::TestContext;
use crate::{Trigger, TriggerContext, TriggerError};

type Script = Box<dyn Fn(usize, TriggerContext) -> Act + Send + Sync>;

/// What a scripted run does.
enum Act {
    /// Reports that it is ready, works for that long, then ends with an error.
    FailAfter(Duration),
    /// The same, but the source gives trouble for that long before the end.
    FailAfterTrouble(Duration, Duration),
    /// Ends with `Ok` though nobody asked.
    EndByItself,
    Panic,
    /// Runs until it is asked to end.
    Obey,
    /// Ignores its shutdown.
    Ignore,
}

/// A trigger whose runs go by a script; it notes when each began.
struct Scripted {
    script: Script,
    runs: Arc<Mutex<Vec<Instant>>>,
}

impl Trigger for Scripted {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let number = {
            let mut runs = self.runs.lock().unwrap();
            runs.push(Instant::now());
            runs.len()
        };
        match (self.script)(number, cx.clone()) {
            Act::FailAfter(span) => {
                cx.ready();
                sleep(span).await;
                Err(TriggerError::new("the source went away"))
            }
            Act::FailAfterTrouble(span, trouble) => {
                cx.ready();
                sleep(span).await;
                cx.trouble("the source is slow");
                sleep(trouble).await;
                Err(TriggerError::new("the source went away"))
            }
            Act::EndByItself => Ok(()),
            Act::Panic => panic!("run {number}"),
            Act::Obey => {
                cx.ready();
                cx.shutdown().cancelled().await;
                Ok(())
            }
            Act::Ignore => {
                cx.ready();
                pending().await
            }
        }
    }
}

struct Fixture {
    supervisor: Supervisor,
    triggers: Triggers,
    name: TriggerName,
    runs: Arc<Mutex<Vec<Instant>>>,
    around: TestContext,
}

impl Fixture {
    fn start(script: impl Fn(usize, TriggerContext) -> Act + Send + Sync + 'static) -> Self {
        Self::start_as(true, script)
    }

    fn start_as(
        enabled: bool,
        script: impl Fn(usize, TriggerContext) -> Act + Send + Sync + 'static,
    ) -> Self {
        let around = TestContext::new("mine");
        let runs = Arc::new(Mutex::new(Vec::new()));
        let trigger = Scripted {
            script: Box::new(script),
            runs: Arc::clone(&runs),
        };
        let supervised = around.supervised(trigger, enabled);
        let supervisor = Supervisor::start(vec![supervised], &around.ports());
        Self {
            triggers: supervisor.triggers(),
            name: around.name().clone(),
            supervisor,
            runs,
            around,
        }
    }

    fn status(&self) -> TriggerStatus {
        self.triggers.get(&self.name).unwrap()
    }

    async fn wait_state(&self, state: TriggerState) {
        let mut states = self.triggers.handles[&self.name].status.watch();
        states.wait_for(|now| *now == state).await.unwrap();
    }

    /// Seconds between the beginnings of one run and the next.
    fn gaps(&self) -> Vec<u64> {
        let runs = self.runs.lock().unwrap();
        runs.windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs())
            .collect()
    }
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn the_wait_doubles_to_a_minute() {
    let fixture = Fixture::start(|_, _| Act::FailAfter(Duration::ZERO));
    sleep(Duration::from_secs(1 + 2 + 4 + 8 + 16 + 32 + 60 + 60)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(fixture.gaps(), [1, 2, 4, 8, 16, 32, 60, 60]);
    let status = fixture.status();
    assert_eq!((status.state, status.restarts), (TriggerState::Backoff, 9));
    assert_eq!(status.error.as_deref(), Some("the source went away"));
    let retry_at = fixture
        .around
        .context()
        .clock()
        .now()
        .plus(Duration::from_secs(60));
    assert_eq!(status.retry_at, Some(retry_at));
}

#[tokio::test(start_paused = true)]
async fn a_healthy_minute_makes_failures_forgotten() {
    let fixture = Fixture::start(|number, _| match number {
        4 => Act::FailAfter(Duration::from_secs(59)),
        6 => Act::FailAfter(Duration::from_secs(60)),
        _ => Act::FailAfter(Duration::ZERO),
    });
    sleep(Duration::from_secs(1 + 2 + 4 + 59 + 8 + 16 + 60 + 1 + 1)).await;
    assert_eq!(fixture.gaps(), [1, 2, 4, 59 + 8, 16, 60 + 1]);
}

#[tokio::test(start_paused = true)]
async fn trouble_after_a_healthy_minute_does_not_undo_it() {
    let second = Duration::from_secs(1);
    let fixture = Fixture::start(move |number, _| match number {
        4 => Act::FailAfterTrouble(59 * second, second),
        6 => Act::FailAfterTrouble(60 * second, second),
        _ => Act::FailAfter(Duration::ZERO),
    });
    sleep((1 + 2 + 4 + 60 + 8 + 16 + 61 + 1 + 1) * second).await;
    assert_eq!(fixture.gaps(), [1, 2, 4, 60 + 8, 16, 61 + 1]);
}

#[tokio::test(start_paused = true)]
async fn panics_and_early_ends_are_failures() {
    let fixture = Fixture::start(|number, _| match number {
        1 => Act::Panic,
        2 => Act::EndByItself,
        _ => Act::Obey,
    });
    fixture.wait_state(TriggerState::Backoff).await;
    assert_eq!(
        fixture.status().error.as_deref(),
        Some("it panicked: run 1")
    );
    sleep(Duration::from_millis(1001)).await;
    assert_eq!(
        fixture.status().error.as_deref(),
        Some("it ended by itself")
    );
    fixture.wait_state(TriggerState::Running).await;
    let status = fixture.status();
    assert_eq!((status.error, status.restarts), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn paused_nothing_runs_and_resumed_it_runs_again() {
    let fixture = Fixture::start(|_, _| Act::Obey);
    fixture.wait_state(TriggerState::Running).await;
    let paused = fixture.triggers.pause(&fixture.name).await.unwrap();
    assert_eq!(paused.state, TriggerState::Paused);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(fixture.runs.lock().unwrap().len(), 1);
    let resumed = fixture.triggers.resume(&fixture.name).await.unwrap();
    assert_ne!(resumed.state, TriggerState::Paused);
    fixture.wait_state(TriggerState::Running).await;
    let status = fixture.status();
    assert_eq!(
        (status.restarts, status.error),
        (0, None),
        "a pause is no failure"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ignores_a_pause_is_cut() {
    let fixture = Fixture::start(|_, _| Act::Ignore);
    fixture.wait_state(TriggerState::Running).await;
    let started = Instant::now();
    let paused = fixture.triggers.pause(&fixture.name).await.unwrap();
    assert_eq!(paused.state, TriggerState::Paused);
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_resume_ends_the_wait_after_a_failure() {
    let fixture = Fixture::start(|number, _| match number {
        1..=7 => Act::FailAfter(Duration::ZERO),
        _ => Act::Obey,
    });
    sleep(Duration::from_millis(63_001)).await;
    assert_eq!(fixture.status().state, TriggerState::Backoff);
    let started = Instant::now();
    fixture.triggers.resume(&fixture.name).await.unwrap();
    fixture.wait_state(TriggerState::Running).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_resume_of_a_running_trigger_changes_nothing_later() {
    let fixture = Fixture::start(|_, _| Act::FailAfter(Duration::from_secs(5)));
    fixture.wait_state(TriggerState::Running).await;
    fixture.triggers.resume(&fixture.name).await.unwrap();
    sleep(Duration::from_millis(6_500)).await;
    assert_eq!(fixture.gaps(), [6], "the request was kept for the wait");
}

#[tokio::test(start_paused = true)]
async fn not_enabled_is_paused_from_the_start() {
    let fixture = Fixture::start_as(false, |_, _| Act::Obey);
    assert_eq!(fixture.status().state, TriggerState::Paused);
    sleep(Duration::from_secs(60)).await;
    assert!(fixture.runs.lock().unwrap().is_empty());
    fixture.triggers.resume(&fixture.name).await.unwrap();
    fixture.wait_state(TriggerState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_runs_waits_and_pauses() {
    for script in [|| Act::Obey, || Act::FailAfter(Duration::ZERO)] {
        let fixture = Fixture::start(move |_, _| script());
        sleep(Duration::from_millis(1)).await;
        let started = Instant::now();
        assert_eq!(fixture.supervisor.stop(SOON).await, []);
        assert_eq!(started.elapsed(), Duration::ZERO);
        let status = fixture.triggers.get(&fixture.name).unwrap();
        assert_eq!(status.state, TriggerState::Stopped);
    }
    let paused = Fixture::start_as(false, |_, _| Act::Obey);
    assert_eq!(paused.supervisor.stop(SOON).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_stop_has_a_bound_and_names_the_triggers_it_cut() {
    let fixture = Fixture::start(|_, _| Act::Ignore);
    fixture.wait_state(TriggerState::Running).await;
    let started = Instant::now();
    let cut = fixture.supervisor.stop(SOON).await;
    assert_eq!(cut, std::slice::from_ref(&fixture.name));
    assert_eq!(started.elapsed(), SOON);
    let status = fixture.triggers.get(&fixture.name).unwrap();
    assert_eq!(status.state, TriggerState::Stopped);
}

/// A failed run's tasks are cancelled, and have ended before the next run begins.
#[tokio::test(start_paused = true)]
async fn tasks_do_not_outlive_their_run() {
    let (alive, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let most_alive = Arc::clone(&most);
    let fixture = Fixture::start(move |_, cx| {
        let now = alive.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        let (alive, shutdown) = (Arc::clone(&alive), cx.shutdown().clone());
        cx.tasks().spawn(async move {
            shutdown.cancelled().await;
            sleep(Duration::from_secs(3)).await;
            alive.fetch_sub(1, Ordering::SeqCst);
        });
        Act::FailAfter(Duration::ZERO)
    });
    sleep(Duration::from_millis(9_001)).await;
    assert_eq!(fixture.gaps(), [3 + 1, 3 + 2]);
    assert_eq!(most_alive.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn receipts_and_refusals_are_counted() {
    let fixture = Fixture::start(|_, cx| {
        let offer = |id: &str| {
            let event = Event {
                id: id.to_owned(),
                source: "/test".to_owned(),
                kind: "test.v1".to_owned(),
                subject: None,
                time: Timestamp::from_millis(0),
                content_type: None,
                data: None,
                extensions: Default::default(),
            };
            let (key, window) = (id.to_owned(), Duration::from_secs(60));
            let digest = None;
            cx.offer(
                event,
                Identity::Key {
                    key,
                    window,
                    digest,
                },
            )
        };
        let offers = ["a", "b", "a", "c"].map(offer).to_vec();
        let dispatch = Arc::clone(cx.dispatch());
        cx.tasks().spawn(async move {
            dispatch.try_dispatch_all(offers).await;
        });
        Act::Obey
    });
    let hub = Arc::clone(fixture.around.dispatch());
    for _ in 0..2 {
        hub.reject_next(Rejected::Draining);
    }
    hub.wait_offered(4).await;
    fixture.wait_state(TriggerState::Running).await;
    sleep(Duration::from_millis(1)).await;
    let status = fixture.status();
    assert_eq!((status.accepted, status.rejected), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_reported() {
    let fixture = Fixture::start(|_, _| Act::Obey);
    let other = TriggerName::new("other").unwrap();
    let unknown = fixture.triggers.pause(&other).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no trigger `other`");
    assert!(fixture.triggers.resume(&other).await.is_err());
    assert!(fixture.triggers.get(&other).is_none());
    assert_eq!(fixture.triggers.list().len(), 1);
    assert!(Triggers::default().list().is_empty());
}
