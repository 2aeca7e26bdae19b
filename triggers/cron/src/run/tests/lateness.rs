//! How late ticks are, as `/metrics` shows it.

use std::sync::Mutex;

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};
use tripline_model::Dispatch;
use tripline_trigger::testkit::PATIENCE;

use super::*;

/// What a timer reported of its ticks' lateness, in seconds.
#[derive(Default)]
struct Samples(Mutex<Vec<f64>>);

/// A recorder of nothing else: a timer has one histogram.
struct Lateness(Arc<Samples>);

impl HistogramFn for Samples {
    fn record(&self, seconds: f64) {
        self.0.lock().unwrap().push(seconds);
    }
}

impl Recorder for Lateness {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        assert_eq!(key.name(), "tripline_cron_late_seconds");
        Histogram::from_arc(Arc::clone(&self.0))
    }
}

impl Samples {
    async fn wait_one(&self) -> f64 {
        let first = async {
            loop {
                if let Some(sample) = self.0.lock().unwrap().first() {
                    return *sample;
                }
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, first).await.expect("a tick is measured")
    }
}

/// For how long its first tick, accepted 3 s after its instant, was late.
async fn lateness(refuse_first: bool) -> f64 {
    let samples = Arc::<Samples>::default();
    let recorder = Lateness(Arc::clone(&samples));
    let _recording = set_default_local_recorder(&recorder);
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    if refuse_first {
        around.dispatch().reject_next(Rejected::Unavailable);
    } else {
        around.dispatch().hold();
    }
    let run = started(&around, &Arc::new(timer("schedule = '5 0 12 * * *'"))).await;
    around.dispatch().wait_offered(1).await;
    if refuse_first {
        run.wait_state(TriggerState::Troubled).await;
        around.dispatch().hold();
    }
    advance(Duration::from_secs(3)).await;
    around.dispatch().release();
    let sample = samples.wait_one().await;
    run.stop(STOP).await.expect("ends well");
    assert_eq!(around.dispatch().accepted().len(), 1);
    sample
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_late_until_it_is_accepted() {
    for refuse_first in [false, true] {
        let late = lateness(refuse_first).await;
        assert!(
            (3.0..3.1).contains(&late),
            "{late} s, refused first: {refuse_first}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_was_accepted_before_tells_no_lateness() {
    let samples = Arc::<Samples>::default();
    let recorder = Lateness(Arc::clone(&samples));
    let _recording = set_default_local_recorder(&recorder);
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    around.dispatch().hold();
    let text = "schedule = '5,20 0 12 * * *'\nmisfire_deadline = '10s'";
    let run = started(&around, &Arc::new(timer(text))).await;
    let first = around.dispatch().wait_offered(1).await.remove(0);
    advance(Duration::from_secs(3)).await;
    // For example another hub with the same journal: the answer to this one is that it is known.
    around.dispatch().release();
    drop(around.dispatch().try_dispatch(first).await);
    around.dispatch().wait_accepted(2).await;
    let late = samples.wait_one().await;
    run.stop(STOP).await.expect("ends well");
    assert!(late < 1.0, "{late} s is that of the first");
}
