//! `logs`: from a line written to the line on the stream, and to the line that `logs -f` shows, at 1,000 lines a second.

use std::path::Path;
use std::process::Stdio;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::Outcome;
use crate::hub::{Hub, until};
use crate::pairs::{Report, quantile};
use crate::time::{micros, millis_between};

const COUNT: u32 = 5000;
const EVERY_MICROS: u32 = 1000;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new(
        "logs",
        "reading the same lines from a pipe (p99 of the pipe to p99 of the stream)",
    );
    let own = std::env::current_exe()?;
    let function = format!(
        "[functions.lines]\n\
         command = ['{}', 'lines', '{COUNT}', '{EVERY_MICROS}']\n\
         [triggers.lines]\n\
         kind = 'http'\n\
         function = 'lines'\n\
         route = 'POST /lines'\n\
         auth = 'none'\n",
        own.display()
    );
    let hub = Hub::start(program, &function).await?;
    for _ in 0..pairs {
        let mut least = pipe(&own).await?;
        let mut ours = stream(&hub).await?;
        let (least_p99, p99) = (quantile(&mut least, 0.99), quantile(&mut ours, 0.99));
        report.figure("pipe_p99_ms", least_p99);
        report.figure("stream_p50_ms", quantile(&mut ours, 0.5));
        report.figure("stream_p99_ms", p99);
        report.figure("stream_max_ms", quantile(&mut ours, 1.0));
        let mut shown = follow(program, &hub).await?;
        report.figure("follow_p50_ms", quantile(&mut shown, 0.5));
        report.figure("follow_p99_ms", quantile(&mut shown, 0.99));
        report.figure("follow_max_ms", quantile(&mut shown, 1.0));
        report.ratio(least_p99 / p99);
    }
    let p99 = report.median("stream_p99_ms");
    report.goal(
        "p99 under 100 ms from the function to the reader",
        p99 < 100.0,
    );
    let p99 = report.median("follow_p99_ms");
    report.goal(
        "p99 under 100 ms from the function to what `logs -f` shows",
        p99 < 100.0,
    );
    Ok(report)
}

async fn pipe(own: &Path) -> Outcome<Vec<f64>> {
    let mut child = Command::new(own)
        .args(["lines", &COUNT.to_string(), &EVERY_MICROS.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("it has no pipe")?;
    let (mut lines, mut spans) = (BufReader::new(stdout).lines(), Vec::new());
    while let Some(line) = lines.next_line().await? {
        spans.push(millis_between(line.parse()?, micros()));
    }
    child.wait().await?;
    Ok(spans)
}

/// Begins a run; its RequestId.
async fn begin(hub: &Hub) -> Outcome<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.post(hub.gateway("/lines")).send().await?;
    let receipt: Value = answer.json().await?;
    let id = receipt["request_id"].as_str();
    Ok(id.ok_or("there is no receipt")?.to_owned())
}

/// What the command shows. It begins after the run, so that the first lines are late by what its own start takes.
async fn follow(program: &Path, hub: &Hub) -> Outcome<Vec<f64>> {
    let id = begin(hub).await?;
    let mut child = Command::new(program)
        .args(["logs", "-f", &id])
        .current_dir(hub.path(""))
        .env_remove("TRIPLINE_TOKEN")
        .env_remove("TRIPLINE_ADMIN")
        .env_remove("TRIPLINE_CONFIG")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or("it has no pipe")?;
    let (mut lines, mut spans) = (BufReader::new(stdout).lines(), Vec::new());
    while let Some(line) = lines.next_line().await? {
        // The hub's own lines are no numbers.
        let written = line.parse().ok();
        spans.extend(written.map(|at| millis_between(at, micros())));
    }
    let status = child.wait().await?;
    if !status.success() {
        return Err(format!("`logs -f` ended with {status}").into());
    }
    all_came(&spans)?;
    ended(hub, &id).await?;
    Ok(spans)
}

fn all_came(spans: &[f64]) -> Outcome<()> {
    if spans.len() == COUNT as usize {
        return Ok(());
    }
    Err(format!("{} of {COUNT} lines came", spans.len()).into())
}

/// The next run begins when this one has let go.
async fn ended(hub: &Hub, id: &str) -> Outcome<()> {
    let path = format!("/v1/invocations/{id}");
    until("it has ended", async || {
        let found = hub.get(&path).send().await.ok()?;
        let found: Value = found.json().await.ok()?;
        (found["state"] == "succeeded").then_some(())
    })
    .await
}

async fn stream(hub: &Hub) -> Outcome<Vec<f64>> {
    let id = begin(hub).await?;
    let log = hub
        .get(&format!("/v1/invocations/{id}/logs?follow=true"))
        .send()
        .await?;
    let (mut chunks, mut text, mut spans) = (log.bytes_stream(), Vec::new(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        let now = micros();
        text.extend_from_slice(&chunk?);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = text.drain(..=end).collect();
            spans.extend(written(&line).map(|at| millis_between(at, now)));
        }
    }
    all_came(&spans)?;
    ended(hub, &id).await?;
    Ok(spans)
}

/// When the function wrote the line that an event of the stream carries.
fn written(line: &[u8]) -> Option<u64> {
    let data: Value = serde_json::from_slice(line.strip_prefix(b"data: ")?).ok()?;
    if data["stream"] == "stdout" {
        data["text"].as_str()?.parse().ok()
    } else {
        None
    }
}
