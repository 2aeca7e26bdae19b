//! `spawn`: short processes through the executor, against a loop that only spawns.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tripline_executor::client::{Client, Executors, ExecutorsConfig, RunEvent};
use tripline_executor::protocol::{FunctionSpec, Isolation, Kind, Limits, Start};
use tripline_model::{RequestId, Timestamp};

use crate::Outcome;
use crate::pairs::Report;
use crate::time::micros;

const CONCURRENCY: usize = 16;
/// Processes in one measurement.
const COUNT: u64 = 4000;
/// An event of an ordinary size.
const EVENT: &[u8] = &[b'x'; 300];
/// What a large hub holds.
const LOAD_BYTES: usize = 500 << 20;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new(
        "spawn",
        "a loop that spawns /bin/true with three pipes, 16 at a time",
    );
    let folder = tempfile::tempdir()?;
    let executors = Executors::start(ExecutorsConfig {
        data_dir: folder.path().to_owned(),
        program: program.to_owned(),
        release: "bench".to_owned(),
        clock: Arc::new(crate::time::RealClock),
    })
    .await?;
    let client = executors.client();
    client.declare(vec![function()]);
    through_executor(&client).await?;
    for _ in 0..pairs {
        let bare = bare().await?;
        let ours = through_executor(&client).await?;
        // Touched, so that it is really there: what a fork of this process would have to copy the tables of.
        let load = vec![1_u8; LOAD_BYTES];
        let loaded = through_executor(&client).await?;
        std::hint::black_box(&load);
        drop(load);
        report.figure("bare_per_second", bare);
        report.figure("executor_per_second", ours);
        report.figure("with_500mb_per_second", loaded);
        report.figure("with_500mb_to_without", loaded / ours);
        report.ratio(ours / bare);
    }
    executors.close().await;
    let (ratio, loaded) = (
        report.median_ratio(),
        report.median("with_500mb_to_without"),
    );
    report.goal("at least 0.85 of the bare loop", ratio >= 0.85);
    report.goal(
        "unchanged within 10 % while the hub holds 500 MB",
        loaded >= 0.9,
    );
    Ok(report)
}

fn function() -> FunctionSpec {
    FunctionSpec {
        name: "true".to_owned(),
        kind: Kind::Process,
        command: vec!["/bin/true".to_owned()],
        env: std::collections::BTreeMap::new(),
        working_dir: PathBuf::from("/"),
        search_path: String::new(),
        user: None,
        limits: Limits::default(),
        isolation: Isolation::BestEffort,
    }
}

async fn rate<F: Future<Output = Outcome<()>> + Send + 'static>(
    once: impl Fn() -> F + Send + Sync + 'static,
) -> Outcome<f64> {
    let (once, left) = (Arc::new(once), Arc::new(AtomicU64::new(COUNT)));
    let (begin, mut tasks) = (Instant::now(), JoinSet::new());
    for _ in 0..CONCURRENCY {
        let (once, left) = (once.clone(), left.clone());
        tasks.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                once().await.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let count = COUNT as f64;
    Ok(count / begin.elapsed().as_secs_f64())
}

async fn bare() -> Outcome<f64> {
    rate(|| async {
        let mut child = Command::new("/bin/true")
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may be over before it has read.
            let _ = stdin.write_all(EVENT).await;
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        if let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) {
            tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err))?;
        }
        child.wait().await?;
        Ok(())
    })
    .await
}

async fn through_executor(client: &Client) -> Outcome<f64> {
    let client = client.clone();
    rate(move || {
        let client = client.clone();
        async move { run_once(&client).await }
    })
    .await
}

async fn run_once(client: &Client) -> Outcome<()> {
    let mut unique = [0; 10];
    getrandom::fill(&mut unique)?;
    let now = i64::try_from(micros() / 1000)?;
    let id = RequestId::new(Timestamp::from_millis(now), unique);
    let start = Start {
        run: id.to_string(),
        function: "true".to_owned(),
        variables: std::collections::BTreeMap::new(),
        remarks: Vec::new(),
        credentials: None,
        timeout_ms: 60_000,
        grace_ms: 1000,
        deadline_ms: now + 60_000,
        max_result_bytes: 1 << 20,
        max_log_bytes: 1 << 20,
    };
    let mut run = client.start(start, Bytes::from_static(EVENT)).await?;
    loop {
        match tokio::time::timeout(Duration::from_secs(60), run.next()).await? {
            RunEvent::Ended { outcome, .. } if outcome.exit_code == Some(0) => break,
            RunEvent::Ended { outcome, .. } => {
                return Err(format!("it ended badly: {outcome:?}").into());
            }
            RunEvent::Lost { why, .. } => return Err(why.into()),
            RunEvent::Lines(lines) => {
                if let Some(last) = lines.last() {
                    client.kept(id, last.number);
                }
            }
            RunEvent::Reclaimed => {}
        }
    }
    client.forget(id);
    Ok(())
}
