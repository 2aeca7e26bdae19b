//! `idle`: what a hub costs that has nothing to do, with a trigger of each kind; and how soon a new one takes events.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::Outcome;
use crate::hub::{Hub, Setup, free_port};
use crate::pairs::Report;
use crate::services::{Kafka, S3};

/// How long an idle hub is watched.
const WATCHED: Duration = Duration::from_secs(10);
const MEMORY_MIB: f64 = 20.0;
const FIRST_MS: f64 = 50.0;
const CPU_PERCENT: f64 = 0.5;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let (kafka, s3) = (Kafka::find()?, S3::find()?);
    let topic = kafka.new_topic("idle", 1).await?;
    let bucket = s3.new_bucket("idle").await?;
    let mut report = Report::new("idle", "a budget of 20 MiB (the budget to what it takes)");
    for _ in 0..pairs {
        let port = free_port()?;
        let mut setup = Setup::of(&config(&kafka, &topic, &s3, &bucket));
        setup.gateway = format!("127.0.0.1:{port}");
        let began = Instant::now();
        let mut hub = Hub::spawn(program, tempfile::tempdir()?, setup)?;
        let url = format!("http://127.0.0.1:{port}/event");
        report.figure("first_202_ms", hub.first_answer(&url, began).await?);
        let hub = hub.ready().await?;
        // Triggers connect, and the first event runs.
        tokio::time::sleep(WATCHED / 2).await;
        let before = hub.cpu_seconds();
        tokio::time::sleep(WATCHED).await;
        let cpu = (hub.cpu_seconds() - before) / WATCHED.as_secs_f64() * 100.0;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let resident = mib(hub.own_resident_bytes());
        report.figure("cpu_percent", cpu);
        report.figure("resident_mib", resident);
        report.figure("with_executors_mib", mib(hub.resident_bytes()));
        report.figure("anonymous_mib", mib(hub.own_anonymous_bytes()));
        report.ratio(MEMORY_MIB / resident);
    }
    let goals = [
        ("resident memory at most 20 MiB", "resident_mib", MEMORY_MIB),
        (
            "from the start to the first 202 at most 50 ms",
            "first_202_ms",
            FIRST_MS,
        ),
        ("at most 0.5 % of a core", "cpu_percent", CPU_PERCENT),
    ];
    for (goal, figure, most) in goals {
        let met = report.median(figure) <= most;
        report.goal(goal, met);
    }
    Ok(report)
}

fn config(kafka: &Kafka, topic: &str, s3: &S3, bucket: &str) -> String {
    format!(
        "[functions.work]\ncommand = ['true']\n\
         [triggers.calls]\nkind = 'http'\nfunction = 'work'\nroute = 'POST /event'\nauth = 'none'\n\
         [triggers.yearly]\nkind = 'cron'\nfunction = 'work'\nschedule = '0 0 1 1 *'\n\
         [triggers.records]\nkind = 'kafka'\nfunction = 'work'\n\
         'bootstrap.servers' = '{}'\ntopics = ['{topic}']\n\
         [triggers.objects]\nkind = 's3'\nfunction = 'work'\nendpoint = '{}'\n\
         access_key = {{ env = 'TRIPLINE_TEST_S3_ACCESS_KEY' }}\nsecret_key = {{ env = 'TRIPLINE_TEST_S3_SECRET_KEY' }}\n\
         bucket = '{bucket}'\nmode = 'poll'\n",
        kafka.bootstrap, s3.endpoint
    )
}
