//! `kafka`: records of 200 bytes made durable a second, against a bare consumer of the same topic that keeps nothing.

use std::path::Path;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::Instant;

use crate::Outcome;
use crate::hub::{Hub, Setup, until};
use crate::pairs::Report;
use crate::services::Kafka;

const RECORDS: u64 = 1_000_000;
const PARTITIONS: i32 = 8;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new("kafka", "a bare BaseConsumer on the same broker");
    let kafka = Kafka::find()?;
    let topic = kafka.new_topic("bench", PARTITIONS).await?;
    eprintln!("  kafka: producing {RECORDS} records");
    let (producing, name) = (kafka.clone(), topic.clone());
    tokio::task::spawn_blocking(move || producing.produce(&name, RECORDS, 200)).await??;
    for _ in 0..pairs {
        let (consuming, name) = (kafka.clone(), topic.clone());
        let least = tokio::task::spawn_blocking(move || bare_rate(&consuming, &name)).await??;
        let ours = hub_rate(program, &kafka, &topic).await?;
        report.figure("bare_per_second", least);
        report.figure("hub_per_second", ours);
        report.ratio(ours / least);
    }
    let (rate, ratio) = (report.median("hub_per_second"), report.median_ratio());
    report.goal("at least 100,000 a second", rate >= 100_000.0);
    report.goal("at least 0.3 of the bare consumer", ratio >= 0.3);
    Ok(report)
}

/// From the first record to the last one.
fn bare_rate(kafka: &Kafka, topic: &str) -> Outcome<f64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    drop(all);
    let (mut seen, mut bytes, mut began) = (0, 0, None);
    while seen < RECORDS {
        let Some(record) = consumer.poll(Duration::from_secs(30)) else {
            return Err("the broker has fewer records than were produced".into());
        };
        bytes += rdkafka::Message::payload(&record?).map_or(0, <[u8]>::len);
        began.get_or_insert_with(Instant::now);
        seen += 1;
    }
    let took = began.map(|began| began.elapsed()).unwrap_or_default();
    std::hint::black_box(bytes);
    Ok(per_second(seen, took))
}

/// From the first record that is accepted to the last one. Their function is busy, so that they wait.
async fn hub_rate(program: &Path, kafka: &Kafka, topic: &str) -> Outcome<f64> {
    let mut setup = Setup::of(&format!(
        "[functions.work]\ncommand = ['sleep', '600']\nconcurrency = 1\nmax_queued = {most}\n\
         [triggers.records]\nkind = 'kafka'\nfunction = 'work'\n'bootstrap.servers' = '{}'\n\
         topics = ['{topic}']\n'auto.offset.reset' = 'earliest'\n",
        kafka.bootstrap,
        most = RECORDS * 2,
    ));
    setup
        .hub
        .push_str(&format!("max_queued = {}\n", RECORDS * 2));
    setup.qps = 10_000_000;
    let hub = Hub::launch(program, tempfile::tempdir()?, setup).await?;
    let first = until("the first records", async || {
        hub.accepted().await.filter(|accepted| *accepted > 0)
    })
    .await?;
    let began = Instant::now();
    until("all records", async || {
        (hub.accepted().await? >= RECORDS).then_some(())
    })
    .await?;
    Ok(per_second(RECORDS - first, began.elapsed()))
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
