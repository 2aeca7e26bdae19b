//! A hub whose limit takes next to nothing for long, before topics that hold far more.

use std::time::Duration;

use rdkafka::producer::FutureRecord;
use tokio::time::Instant;
use tripline_tests::{Hub, Vitals, full, kafka, time_goes_by};

use super::{PROTOCOLS, committed, config, ledger, producer, topic, with_ledgers};

const TOPIC: &str = "e2e-waiting";

/// Bytes behind each record's number; and so many of them.
const PADDING: usize = 100_000;
const RECORDS: usize = 500;

/// How much more memory it may have than when it has begun to wait: a tenth of what waits.
const NOISE_KIB: u64 = 10 * 1024;

/// Both triggers run, have had their partitions all the time, and were sent away by nobody.
async fn stay_in_their_groups(hub: &Hub) {
    for protocol in PROTOCOLS {
        let status = hub.get(&format!("/v1/triggers/{protocol}")).await;
        let facts = &status["facts"];
        assert_eq!(status["state"], "running", "{status}");
        assert_eq!(
            (&facts["partitions"], &facts["rebuilds"]),
            (&2.into(), &0.into()),
            "{status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_at_its_limit_for_long_stays_in_its_groups_and_grows_no_larger() {
    let Some(bootstrap) = kafka("a hub at its limit for long") else {
        return;
    };
    topic(&bootstrap, TOPIC, 2, 1).await;
    let producer = producer(&bootstrap);
    let padding = "x".repeat(PADDING);
    for value in 0..RECORDS {
        let (key, value) = (format!("k{value}"), format!("r{value} {padding}"));
        let record = FutureRecord::to(TOPIC).key(&key).payload(&value);
        producer
            .send(record, Duration::from_secs(60))
            .await
            .unwrap();
    }
    // What is read first is the number.
    let text = config(&bootstrap, TOPIC).replace("$(cat)", "$(cut -d ' ' -f 1)");
    let hub = with_ledgers(&format!("[hub]\nqps = 1\npush_share = 0\n{text}")).await;
    let begun = Instant::now();
    // Longer than both sessions in any case.
    time_goes_by(
        Duration::from_secs(8),
        "the triggers are to read as much as they will",
    )
    .await;
    stay_in_their_groups(&hub).await;
    let settled = Vitals::of(hub.pid());
    println!("{settled:?}");
    // Each trigger could have read all of it.
    assert!(
        settled.rss_kib < 2 * (RECORDS * PADDING / 1024) as u64,
        "{settled:?}"
    );
    let most = settled.rss_kib + NOISE_KIB;
    for _ in 0..full(8, 240) {
        time_goes_by(Duration::from_millis(500), "they are to stay so").await;
        stay_in_their_groups(&hub).await;
        let now = Vitals::of(hub.pid());
        assert!(now.rss_kib <= most, "{now:?} after {settled:?}");
    }
    let records = hub.records_within(1).await;
    let most = begun.elapsed().as_secs() as usize + 2;
    assert!((2..=most).contains(&records), "{records} in {most} s");
    // Who was sent away reads again what it did not commit.
    for protocol in PROTOCOLS {
        hub.ended_of(protocol, 1).await;
        let ran = ledger(&[&hub], protocol);
        let mut once = ran.clone();
        once.dedup();
        assert_eq!(ran, once, "{protocol}");
        let group = format!("{TOPIC}-{protocol}");
        let committed = committed(&bootstrap, &group, TOPIC, 2);
        assert!(committed <= records, "{committed} of {records}");
    }
}
