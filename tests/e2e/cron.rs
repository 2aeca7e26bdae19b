//! The cron trigger on the real clock: a restart neither repeats nor forgets a tick, and very many timers on one
//! second keep to the limit.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::Instant;
use tripline_tests::{Hub, eventually};

const CONFIG: &str = r#"
[functions.tick]
command = ["true"]
[triggers.each_second]
kind = "cron"
function = "tick"
schedule = "* * * * * *"
payload = ""
"#;

fn time(text: &Value) -> DateTime {
    let text = text.as_str().expect("a time is text");
    DateTime::from_str(text, DateTimeFormat::DateTime).unwrap()
}

/// The second of a tick, and how many ticks it stands for, itself included.
fn tick(one: &Value) -> (i64, i64) {
    let time = time(&one["event"]["time"]);
    assert_eq!(time.subsec_nanos(), 0, "{time}");
    let missed = one["event"]["extensions"]["cronmissed"].as_str();
    (
        time.secs(),
        missed.map_or(1, |missed| missed.parse().unwrap()),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_neither_repeats_nor_forgets_a_tick() {
    let mut hub = Hub::start(CONFIG).await;
    hub.ended_of("each_second", 2).await;
    hub.kill().await;
    let killed = Instant::now();
    eventually("some ticks are late enough to be missed", async || {
        (killed.elapsed() > Duration::from_secs(6)).then_some(())
    })
    .await;
    hub.launch().await;
    let ended = hub.ended_of("each_second", 6).await;
    let mut ticks: Vec<_> = ended.iter().map(tick).collect();
    ticks.sort_unstable();
    for pair in ticks.windows(2) {
        let [(before, _), (at, stands_for)] = *pair else {
            unreachable!("a pair")
        };
        assert_eq!(at - before, stands_for, "{ticks:?}");
    }
    assert!(
        ticks.iter().any(|(_, stands_for)| *stands_for > 1),
        "{ticks:?}"
    );
}

/// What a removed trigger noted is kept for 30 days only, so none that is there may count as removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_there_is_not_taken_for_removed() {
    let mut hub = Hub::start(CONFIG).await;
    hub.ended_of("each_second", 1).await;
    hub.kill().await;
    // The first upkeep of a life comes with its start, and finds what was noted before.
    hub.launch().await;
    hub.ended_of("each_second", 3).await;
    hub.signal(Signal::SIGTERM);
    hub.exited().await;
    let journal = std::fs::read(hub.path("data/journal.db")).unwrap();
    let has = |text: &str| {
        journal
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("each_second"));
    assert!(!has("gone:each_second"));
}

/// Ticks of the last seconds are hardly late, and one stands for those before: a pause brings neither.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_in_a_pause_does_not_fire_after_a_restart() {
    const PAUSE: Duration = Duration::from_secs(5);
    let mut hub = Hub::start(CONFIG).await;
    hub.ended_of("each_second", 2).await;
    let pause = hub.call("/v1/triggers/each_second/pause").send().await;
    let paused: Value = pause.unwrap().json().await.unwrap();
    assert_eq!(paused["state"], "paused", "{paused}");
    let begun = Instant::now();
    let before = hub.invocations("trigger=each_second").await.len();
    eventually("ticks are late enough to be missed", async || {
        (begun.elapsed() > PAUSE).then_some(())
    })
    .await;
    hub.signal(Signal::SIGTERM);
    hub.exited().await;
    hub.launch().await;
    let ended = hub.ended_of("each_second", before + 2).await;
    let from = time(&paused["since"]).as_secs_f64();
    let of_the_pause: Vec<_> = ended
        .iter()
        .map(|one| &one["event"])
        .filter(|event| {
            let after = time(&event["time"]).as_secs_f64() - from;
            (0.0..PAUSE.as_secs_f64()).contains(&after)
        })
        .collect();
    assert!(of_the_pause.is_empty(), "{of_the_pause:?}");
}

const TIMERS: usize = 300;

/// The instant of a tick, in text of one form: it sorts as the times do.
fn instant(tick: &Value) -> &str {
    tick["event"]["time"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_timers_on_one_second_are_spread_within_the_limit() {
    let timers: String = (0..TIMERS)
        .map(|n| {
            format!("[triggers.t{n}]\nkind = \"cron\"\nfunction = \"tick\"\nschedule = \"*/10 * * * * *\"\n")
        })
        .collect();
    let function = "[functions.tick]\ncommand = [\"true\"]\nconcurrency = 8\n";
    let hub = Hub::start(&format!("[hub]\nqps = 100\n{function}{timers}")).await;
    // All of the first instant at which all timers were there.
    let of_one_instant = eventually("every timer has fired", async || {
        let mut all = hub.invocations("function=tick").await;
        let mut instants: Vec<String> = all.iter().map(|one| instant(one).to_owned()).collect();
        instants.sort();
        instants.dedup();
        // At the first one some timers may not have been there yet.
        let of = |at: &str| all.iter().filter(|one| instant(one) == at).count();
        let whole = instants.iter().take(2).find(|at| of(at) >= TIMERS)?;
        all.retain(|one| instant(one) == whole);
        (all.len() >= TIMERS).then_some(all)
    })
    .await;
    let triggers: HashSet<String> = of_one_instant
        .iter()
        .map(|one| one["trigger"].to_string())
        .collect();
    assert_eq!((triggers.len(), of_one_instant.len()), (TIMERS, TIMERS));
    // Three times the limit take more than two seconds: they touch at least three.
    let seconds: HashSet<&str> = of_one_instant
        .iter()
        .map(|one| &one["accepted_at"].as_str().unwrap()[..19])
        .collect();
    assert!(seconds.len() >= 3, "{seconds:?}");
}
