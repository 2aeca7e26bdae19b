//! `/metrics`: nothing is missing and nothing is counted twice.
//!
//! Under load, the accepted events are in every scrape the sum over the states, and in the end what the journal has.
//! After a restart the counters go on from the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tripline_tests::{Hub, eventually};

const CONFIG: &str = r#"
[hub]
qps = 100
[functions.good]
command = ["true"]
concurrency = 4
[functions.bad]
command = ["false"]
concurrency = 2
[functions.slow]
command = ["sleep", "3600"]
concurrency = 2
max_event_age = "1s"
[triggers.door]
kind = "http"
function = "good"
route = "POST /good"
auth = "none"
"#;

const FUNCTIONS: [&str; 3] = ["bad", "good", "slow"];

/// One answer of `/metrics`.
struct Figures(String);

impl Figures {
    async fn of(hub: &Hub) -> Self {
        Self(hub.metrics().await)
    }

    /// The sum of a figure over all labels but the function.
    fn sum(&self, name: &str, function: &str) -> i64 {
        let label = format!("function=\"{function}\"");
        let lines = self.0.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && line.contains(&label)
        });
        let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap();
        lines.map(value).sum()
    }

    /// What came in, which must be what is somewhere.
    #[track_caller]
    fn check(&self, function: &str) -> i64 {
        let sum = |name| self.sum(name, function);
        let came_in = sum("tripline_accepted_total") + sum("tripline_recovered_total");
        let waits_or_runs = sum("tripline_queued") + sum("tripline_running");
        let ended = sum("tripline_invocations_ended_total");
        assert_eq!(came_in, waits_or_runs + ended, "{function}\n{}", self.0);
        came_in
    }

    /// How often that happened, if that is shown at all.
    fn count(&self, series: &str) -> Option<i64> {
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(value)
    }

    /// The ends that there were.
    fn ended(&self, function: &str) -> BTreeMap<String, i64> {
        let start = format!("tripline_invocations_ended_total{{function=\"{function}\",state=\"");
        let lines = self.0.lines().filter_map(|line| line.strip_prefix(&start));
        let ended = lines.map(|rest| {
            let (state, count) = rest.split_once("\"} ").unwrap();
            (state.to_owned(), count.parse().unwrap())
        });
        ended.filter(|(_, count)| *count > 0).collect()
    }
}

/// What the journal says of a function's ends.
async fn journal(hub: &Hub, function: &str) -> BTreeMap<String, i64> {
    let mut states = BTreeMap::new();
    for one in hub.invocations(&format!("function={function}")).await {
        *states
            .entry(one["state"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    states
}

/// An alert on an increase does not see a counter that begins at one.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_happened_yet_is_shown_as_zero() {
    let hub = Hub::start(CONFIG).await;
    let figures = Figures::of(&hub).await;
    for series in [
        "tripline_accepted_total{function=\"good\",trigger=\"door\"}",
        "tripline_accepted_total{function=\"slow\",trigger=\"\"}",
        "tripline_invocations_ended_total{function=\"bad\",state=\"lost\"}",
        "tripline_invocations_ended_total{function=\"bad\",state=\"succeeded\"}",
        "tripline_rejected_total{reason=\"storage_full\"}",
    ] {
        assert_eq!(figures.count(series), Some(0), "{series}\n{}", figures.0);
    }
    for name in FUNCTIONS {
        assert_eq!(figures.check(name), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_always_the_sum_over_the_states() {
    let hub = Arc::new(Hub::start(CONFIG).await);
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..8_usize {
        let (hub, over) = (hub.clone(), over.clone());
        callers.spawn(async move {
            let mut calls = 0_u32;
            let mut beat = tokio::time::interval(Duration::from_millis(40));
            while !over.load(Ordering::Relaxed) {
                beat.tick().await;
                let function = FUNCTIONS[caller % 3];
                let path = format!("/v1/functions/{function}/invocations");
                let request = match caller {
                    7 => hub.client().post(hub.gateway("/good")),
                    _ => hub.call(&path),
                };
                // Over the limit, or out of room: refused, and counted nowhere but there.
                request.send().await.unwrap();
                calls += 1;
            }
            calls
        });
    }
    let mut looks = 0;
    let everything_happened = async {
        loop {
            let figures = Figures::of(&hub).await;
            let came_in: i64 = FUNCTIONS.iter().map(|name| figures.check(name)).sum();
            looks += 1;
            let expired = figures.ended("slow").contains_key("expired");
            let refused = figures.count("tripline_rejected_total{reason=\"over_limit\"}");
            if looks >= 30 && came_in > 200 && expired && refused > Some(0) {
                return;
            }
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, everything_happened)
        .await
        .expect("all kinds of ends in time");
    over.store(true, Ordering::Relaxed);
    for calls in callers.join_all().await {
        assert!(calls > 0);
    }
    eventually("nothing waits for a slow one", async || {
        (Figures::of(&hub).await.sum("tripline_queued", "slow") == 0).then_some(())
    })
    .await;
    for running in hub.invocations("function=slow&state=running").await {
        let id = running["request_id"].as_str().unwrap();
        assert_eq!(hub.cli(&["terminate", id]).code, 0);
    }
    eventually("everything has ended", async || {
        let figures = Figures::of(&hub).await;
        let open =
            |name| figures.sum("tripline_queued", name) + figures.sum("tripline_running", name);
        (FUNCTIONS.iter().map(|name| open(name)).sum::<i64>() == 0).then_some(())
    })
    .await;
    let figures = Figures::of(&hub).await;
    for name in FUNCTIONS {
        figures.check(name);
        assert_eq!(figures.ended(name), journal(&hub, name).await, "{name}");
    }
    assert!(figures.sum("tripline_accepted_total", "good") > 0);
    assert!(
        figures.0.contains("function=\"good\",trigger=\"door\"}"),
        "{}",
        figures.0
    );
    assert!(
        figures.ended("slow").contains_key("terminated"),
        "{}",
        figures.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_life_counts_what_the_last_one_left() {
    let mut hub = Hub::start(&CONFIG.replace("\"1s\"", "\"1h\"")).await;
    for _ in 0..5 {
        hub.invoke("slow", "").await;
    }
    eventually("two run", async || {
        (Figures::of(&hub).await.sum("tripline_running", "slow") == 2).then_some(())
    })
    .await;
    hub.kill().await;
    hub.launch().await;
    let figures = Figures::of(&hub).await;
    let sum = |name| figures.sum(name, "slow");
    figures.check("slow");
    assert_eq!(sum("tripline_recovered_total"), 5);
    assert_eq!((sum("tripline_queued"), sum("tripline_running")), (3, 2));

    // With their executor, what runs is lost: the next life says so.
    hub.kill().await;
    for executor in hub.executors() {
        executor.kill();
    }
    hub.launch().await;
    let figures = Figures::of(&hub).await;
    assert_eq!(figures.check("slow"), 5);
    assert_eq!(
        figures.ended("slow"),
        BTreeMap::from([("lost".to_owned(), 2)])
    );
    for one in hub.invocations("function=slow").await {
        hub.cli(&["terminate", one["request_id"].as_str().unwrap()]);
    }
}
