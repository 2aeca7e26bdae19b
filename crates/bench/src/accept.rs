//! `accept`: events made durable over HTTP, their starts and ends journaled too, against a bare axum handler.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;

use crate::Outcome;
use crate::caller::closed_loop;
use crate::hub::{Hub, Setup, until};
use crate::pairs::{Report, quantile};
use crate::worker::functions;

/// Connections of the ratio.
const CONNECTIONS: usize = 64;
/// Events in one measurement with them.
const COUNT: u64 = 30_000;
/// Further connections, events in one measurement with them, and what the figures are called.
const OTHERS: [(usize, u64, &str, &str); 3] = [
    (1, 1_500, "bare_1_per_second", "hub_1_per_second"),
    (16, 15_000, "bare_16_per_second", "hub_16_per_second"),
    (256, 30_000, "bare_256_per_second", "hub_256_per_second"),
];

/// A bare handler in a process of its own.
struct Handler {
    process: Child,
    url: String,
}

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new("accept", "a bare axum handler at 64 connections");
    let bare = Handler::start().await?;
    let hub = Hub::start(program, &functions(None)?).await?;
    let url = hub.gateway("/event");
    let busy = Hub::launch(program, tempfile::tempdir()?, busy()).await?;
    let alone_url = busy.gateway("/event");
    rate(&bare.url, COUNT / 10, CONNECTIONS).await?;
    drained_rate(&hub, &url, COUNT / 10, CONNECTIONS).await?;
    for _ in 0..pairs {
        let (least, mut least_millis) = rate(&bare.url, COUNT, CONNECTIONS).await?;
        let (ours, mut millis) = drained_rate(&hub, &url, COUNT, CONNECTIONS).await?;
        report.figure("bare_per_second", least);
        report.figure("bare_p99_ms", quantile(&mut least_millis, 0.99));
        report.figure("hub_per_second", ours);
        report.figure("hub_p99_ms", quantile(&mut millis, 0.99));
        let (alone, mut alone_millis) = rate(&alone_url, COUNT, CONNECTIONS).await?;
        report.figure("alone_per_second", alone);
        report.figure("alone_p99_ms", quantile(&mut alone_millis, 0.99));
        report.figure("alone_to_bare", alone / least);
        for (connections, count, bare_name, hub_name) in OTHERS {
            report.figure(bare_name, rate(&bare.url, count, connections).await?.0);
            let ours = drained_rate(&hub, &url, count, connections).await?;
            report.figure(hub_name, ours.0);
        }
        report.ratio(ours / least);
    }
    let ratio = report.median_ratio();
    report.goal("at least 0.45 of the bare handler", ratio >= 0.45);
    let late = report.median("hub_p99_ms") > report.median("bare_p99_ms");
    report.goal("p99 not above the bare handler's", !late);
    Ok(report)
}

/// A hub that only accepts: its one slot is taken, and everything waits.
fn busy() -> Setup {
    let mut setup = Setup::of(
        "[functions.event]\ncommand = ['sleep', '600']\ntimeout = '600s'\nconcurrency = 1\nmax_queued = 10000000\n\
         [triggers.event]\nkind = 'http'\nfunction = 'event'\nroute = 'POST /event'\nauth = 'none'\n",
    );
    setup.hub.push_str("max_queued = 10000000\n");
    setup
}

/// Events accepted a second, and the milliseconds of each; returns when all of them have run.
async fn drained_rate(
    hub: &Hub,
    url: &str,
    count: u64,
    connections: usize,
) -> Outcome<(f64, Vec<f64>)> {
    let before = until("metrics", async || hub.succeeded().await).await?;
    let found = rate(url, count, connections).await?;
    until("all have succeeded", async || {
        (hub.succeeded().await? - before >= count).then_some(())
    })
    .await?;
    Ok(found)
}

async fn rate(url: &str, count: u64, connections: usize) -> Outcome<(f64, Vec<f64>)> {
    let answered = closed_loop(url, count, connections).await?;
    let rate = count as f64 / answered.took.as_secs_f64();
    Ok((rate, answered.millis))
}

/// The least that could answer a call: it reads the body, makes an id and says 202. Prints its address.
pub(crate) async fn serve_bare() -> Outcome<()> {
    let router = Router::new().route("/event", post(bare));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn bare(_event: Bytes) -> (StatusCode, String) {
    let id = uuid::Uuid::now_v7();
    (StatusCode::ACCEPTED, format!("{{\"request_id\":\"{id}\"}}"))
}

// === impl Handler ===

impl Handler {
    async fn start() -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("handler")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().ok_or("it has no output")?;
        let address = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).map(|_| line)
        });
        let url = format!("http://{}/event", address.await??.trim());
        Ok(Self { process, url })
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
