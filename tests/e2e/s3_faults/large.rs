//! Buckets with very many objects: little memory, no rush, and no wait at the stop.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use tripline_tests::{Hub, LargeBucket, eventually, eventually_within, free_port};

use super::{KEYS, hub_for, trigger};

/// Bytes of memory that the hub holds, and the most that it held.
fn memory(hub: &Hub) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap() * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

const OBJECTS: usize = 100_000;
const MORE_MEMORY: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_objects_are_compared_in_little_memory_and_the_hub_can_be_stopped() {
    let store = LargeBucket::start(OBJECTS).await;
    let mode = "mode = \"poll\"\ninterval = \"100ms\"";
    let mut hub = hub_for(&store.endpoint, free_port(), mode);
    hub.launch_with(&KEYS).await;
    let (at_start, _) = memory(&hub);
    eventually("the first listing is under way", async || {
        (store.pages() > 10).then_some(())
    })
    .await;
    hub.signal(Signal::SIGTERM);
    let ended = hub.exited().await;
    assert!(ended.success(), "{ended}");
    assert!(store.pages() < OBJECTS / 1_000, "the listing was over");
    hub.launch_with(&KEYS).await;
    let whole = async || (trigger(&hub).await["facts"]["objects"] == OBJECTS).then_some(());
    eventually_within(Duration::from_secs(240), "the bucket is listed", whole).await;
    // Another pass, with the whole inventory at its side.
    let pages = store.pages();
    let again = async || (store.pages() > pages + 2 * OBJECTS / 1_000).then_some(());
    eventually_within(
        Duration::from_secs(120),
        "the bucket is listed again",
        again,
    )
    .await;
    store.add(2);
    let found = hub.ended_of("uploads", 2).await;
    let (now, most) = memory(&hub);
    println!("{OBJECTS} objects: {at_start} bytes at the start, {now} now, at most {most}");
    assert!(
        most < at_start + MORE_MEMORY,
        "{at_start} bytes at the start, at most {most}"
    );
    assert_eq!(found.len(), 2, "objects that were there fired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bucket_that_fires_keeps_to_the_limit() {
    let store = LargeBucket::start(600).await;
    let mode = "mode = \"poll\"\nexisting = \"fire\"\nqps = 150";
    let mut hub = hub_for(&store.endpoint, free_port(), mode);
    hub.launch_with(&KEYS).await;
    let all = hub.ended_of("uploads", 600).await;
    assert_eq!(all.len(), 600);
    let mut at: Vec<String> = all
        .iter()
        .map(|one| one["accepted_at"].as_str().unwrap().to_owned())
        .collect();
    at.sort();
    // Text of one form and in one zone sorts as the times do. Four times the limit take more than three seconds.
    let seconds: BTreeSet<&str> = at.iter().map(|at| &at[..19]).collect();
    assert!(seconds.len() >= 4, "{seconds:?}");
}
