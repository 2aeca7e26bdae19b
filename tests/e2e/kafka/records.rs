//! Records that nobody would write on purpose.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tripline_tests::{Hub, eventually, full, kafka};

use super::{PROTOCOLS, all_committed, config, produce, with_ledgers};

const TOPIC: &str = "e2e-poison";

/// The hub's largest event in this test.
const MAX_EVENT: &str = "6MiB";

/// What the hub may need at most, whatever is in a topic: a few of the largest events at a time in each trigger.
const MAX_RESIDENT: u64 = 400 << 20;

/// A topic of one partition that takes larger records than the broker's others.
async fn topic(bootstrap: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let topic = topic.set("max.message.bytes", "25000000");
    let made = admin.create_topics([&topic], &AdminOptions::new()).await;
    made.unwrap().remove(0).unwrap();
}

async fn send(producer: &FutureProducer, record: FutureRecord<'_, [u8], [u8]>) {
    let sent = producer.send(record, Duration::from_secs(60)).await;
    sent.map_err(|(error, _)| error).unwrap();
}

/// The most memory that the hub has had, in bytes.
fn peak(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
    kib << 10
}

/// Writes eight strange records. Three are never taken: one has more headers than the hub takes, one is too large for
/// it, and one is so large that librdkafka does not unpack it.
async fn poison(bootstrap: &str) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("message.max.bytes", "1000000000")
        .set("compression.type", "zstd")
        .create()
        .unwrap();
    let record = || FutureRecord::<[u8], [u8]>::to(TOPIC).partition(0);
    // Neither key nor value; nothing in either; no text.
    send(&producer, record()).await;
    send(&producer, record().key(b"").payload(b"")).await;
    send(
        &producer,
        record().key(b"\xff\xfe").payload(b"\x00\xff\x1b[2J"),
    )
    .await;
    let mut many = OwnedHeaders::new_with_capacity(5_000);
    for _ in 0..5_000 {
        let value = Some("value");
        many = many.insert(Header { key: "name", value });
    }
    send(&producer, record().payload(b"headers").headers(many)).await;
    // Looks like a CloudEvent and is none.
    let broken = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"];
    let broken = broken.iter().fold(OwnedHeaders::new(), |headers, key| {
        let value = Some(b"\xff\n".as_slice());
        headers.insert(Header { key, value })
    });
    send(&producer, record().payload(b"cloud").headers(broken)).await;
    // Small on the way, and then not.
    send(&producer, record().payload(&vec![0; 5 << 20])).await;
    send(&producer, record().payload(&vec![0; 50 << 20])).await;
    send(
        &producer,
        record().payload(&vec![0; full(150 << 20, 999_000_000)]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_records_are_events_or_skipped_and_stop_nothing() {
    let Some(bootstrap) = kafka("strange records") else {
        return;
    };
    topic(&bootstrap).await;
    let text = format!("[hub]\nmax_event = \"{MAX_EVENT}\"\n");
    let hub = with_ledgers(&(text + &config(&bootstrap, TOPIC))).await;
    poison(&bootstrap).await;
    // Without compression: as large as brokers let in by themselves, and as this topic does.
    let plain: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .set("message.max.bytes", "21000000")
        .create()
        .unwrap();
    let largest = vec![b'x'; 1_048_588 - 200];
    send(&plain, FutureRecord::to(TOPIC).payload(&largest)).await;
    send(
        &plain,
        FutureRecord::to(TOPIC).payload(&vec![b'x'; 20 << 20]),
    )
    .await;
    produce(&plain, TOPIC, 0..3).await;

    let all = 8 + 2 + 3;
    all_committed(&bootstrap, TOPIC, 1, all).await;
    for protocol in PROTOCOLS {
        let path = format!("/v1/triggers/{protocol}");
        eventually(
            &format!("four records are skipped, {protocol}"),
            async || {
                let status = hub.get(&path).await;
                (status["facts"]["skipped"] == 4 && status["state"] == "running").then_some(())
            },
        )
        .await;
        let ended = hub.ended_of(protocol, all - 4).await;
        let mut sizes: Vec<u64> = ended
            .iter()
            .filter_map(|one| one["event"]["data_bytes"].as_u64())
            .collect();
        sizes.sort_unstable();
        let expected = [0, 0, 2, 2, 2, 5, 6, largest.len() as u64, 5 << 20];
        assert_eq!(sizes, expected, "{protocol}");
    }
    let peak = peak(&hub);
    assert!(peak < MAX_RESIDENT, "{} MiB", peak >> 20);
}
