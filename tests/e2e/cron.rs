//! The cron trigger on the real clock.

use tripline_tests::Hub;

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
