//! The cron trigger on the real clock.

use std::collections::HashSet;

use serde_json::Value;
use tripline_tests::{Hub, eventually};

const CONFIG: &str = r#"
[functions.tick]
command = ["sh", "-c", "echo $CE_ID >> ticks; cat >> ticks"]
[triggers.each_second]
kind = "cron"
function = "tick"
schedule = "* * * * * *"
payload = ""
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_neither_repeats_nor_forgets_a_tick() {
    let mut hub = Hub::start(CONFIG).await;
    hub.ended_of("each_second", 2).await;
    hub.kill().await;
    hub.launch().await;
    let ended = hub.ended_of("each_second", 5).await;
    let mut times: Vec<_> = ended
        .iter()
        .map(|one| one["event"]["time"].to_string())
        .collect();
    let all = times.len();
    times.sort();
    times.dedup();
    assert_eq!(times.len(), all, "an instant fired twice");
    assert!(
        times.iter().all(|time| time.ends_with(".000Z\"")),
        "{times:?}"
    );
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
