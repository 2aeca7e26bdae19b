//! `growth`: accepting events into a journal that holds five million ended ones, against an empty journal; and how long
//! a hub with a million waiting invocations takes to be ready.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tempfile::TempDir;
use tokio::time::Instant;
use tripline_journal::{Journal, JournalOptions, NewInvocation, SqliteJournal};
use tripline_model::{
    Clock, End, Ending, Event, FunctionName, Identity, Offer, RequestId, Timestamp, TriggerName,
};

use crate::Outcome;
use crate::caller::closed_loop;
use crate::hub::{Hub, Setup, until};
use crate::pairs::Report;
use crate::time::RealClock;
use crate::worker::functions;

const ENDED: u64 = 5_000_000;
const OPEN: u64 = 1_000_000;
/// Records in one hand-over, and hand-overs at the same time.
const BATCH: u64 = 1000;
const TOGETHER: usize = 4;
/// The ended records are spread over this time before now: less than they are kept.
const SPREAD: Duration = Duration::from_secs(60 * 3600);
/// Events in one measurement, and connections.
const COUNT: u64 = 20_000;
const CONNECTIONS: usize = 64;

/// How far a record is when the hub starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Accepted,
    Ended,
}

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new("growth", "the accept rate of an empty journal");
    recover(program, &mut report).await?;
    let grown = tempfile::tempdir()?;
    fill(&grown, ENDED, Stage::Ended).await?;
    let empty = Hub::start(program, &functions(None)?).await?;
    let keeping = Hub::launch(program, grown, Setup::of(&functions(None)?)).await?;
    for _ in 0..pairs {
        let least = rate(&empty).await?;
        let ours = rate(&keeping).await?;
        report.figure("empty_per_second", least);
        report.figure("grown_per_second", ours);
        report.ratio(ours / least);
    }
    let grown = keeping.stop()?;
    let before = records(&grown).await?;
    let mut setup = Setup::of(&functions(None)?);
    setup.hub.push_str("keep_ended = '1h'\n");
    let began = Instant::now();
    let removing = Hub::launch(program, grown, setup).await?;
    for _ in 0..pairs {
        let least = rate(&empty).await?;
        report.figure("removing_to_empty", rate(&removing).await? / least);
    }
    let took = began.elapsed().as_secs_f64();
    let left = records(&removing.stop()?).await?;
    let removed = before + u64::from(pairs) * COUNT - left;
    report.figure("removed_per_second", removed as f64 / took);
    report.goal("old records are removed meanwhile", removed > 0);
    let ratio = report.median_ratio();
    report.goal("at least 0.8 of an empty journal's rate", ratio >= 0.8);
    let cost = report.median("removing_to_empty") / ratio;
    report.goal("removing old records costs less than 10 %", cost > 0.9);
    Ok(report)
}

/// A hub that finds a million waiting invocations.
async fn recover(program: &Path, report: &mut Report) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    fill(&folder, OPEN, Stage::Accepted).await?;
    let busy =
        "[functions.event]\ncommand = ['sleep', '600']\nconcurrency = 1\nmax_queued = 2000000\n";
    let mut setup = Setup::of(busy);
    setup.hub.push_str("max_queued = 2000000\n");
    let began = Instant::now();
    let hub = Hub::launch(program, folder, setup).await?;
    let took = began.elapsed().as_secs_f64();
    let mib = hub.own_resident_bytes() as f64 / f64::from(1 << 20);
    report.figure("recovery_seconds", took);
    report.figure("recovery_mib", mib);
    report.goal("a million waiting: ready within 5 s", took <= 5.0);
    report.goal("a million waiting: less than 200 MiB", mib < 200.0);
    Ok(())
}

/// How many records there are in a folder without a hub.
async fn records(folder: &TempDir) -> Outcome<u64> {
    let dir = folder.path().join("data");
    let journal = SqliteJournal::open(&dir, JournalOptions::default(), Arc::new(RealClock))?;
    let counts = journal.counts().await?;
    journal.close().await;
    Ok(counts.iter().map(|(_, _, count)| count).sum())
}

/// Events accepted a second; returns when all of them have run.
async fn rate(hub: &Hub) -> Outcome<f64> {
    let before = until("metrics", async || hub.succeeded().await).await?;
    let answered = closed_loop(&hub.gateway("/event"), COUNT, CONNECTIONS).await?;
    until("all have succeeded", async || {
        (hub.succeeded().await? - before >= COUNT).then_some(())
    })
    .await?;
    let rate = COUNT as f64 / answered.took.as_secs_f64();
    Ok(rate)
}

/// Puts `count` records into the journal of the hub that will be started in `folder`.
async fn fill(folder: &TempDir, count: u64, stage: Stage) -> Outcome<()> {
    eprintln!("  growth: writing {count} records");
    let dir = folder.path().join("data");
    std::fs::create_dir(&dir)?;
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let journal = SqliteJournal::open(&dir, JournalOptions::default(), Arc::new(RealClock))?;
    let begin = RealClock.now().minus(SPREAD);
    let every = SPREAD / u32::try_from(count)?;
    let batches = stream::iter((0..count).step_by(usize::try_from(BATCH)?)).map(|first| {
        let ids = first..(first + BATCH).min(count);
        write(&journal, ids.map(|n| id(begin, every, n)).collect(), stage)
    });
    batches.buffered(TOGETHER).try_collect::<()>().await?;
    journal.close().await;
    Ok(())
}

async fn write(journal: &SqliteJournal, ids: Vec<RequestId>, stage: Stage) -> Outcome<()> {
    let new = ids.iter().map(|id| invocation(*id));
    journal.accept(new.collect::<Result<_, _>>()?).await?;
    if stage == Stage::Ended {
        try_join_all(ids.iter().map(|id| journal.start(*id, id.timestamp()))).await?;
        let end = |id: &RequestId| {
            let ending = Ending::new(End::Succeeded, id.timestamp(), "exit_code");
            journal.finish(*id, ending)
        };
        try_join_all(ids.iter().map(end)).await?;
    }
    Ok(())
}

fn id(begin: Timestamp, every: Duration, number: u64) -> RequestId {
    let mut unique = [0; 10];
    unique[2..].copy_from_slice(&number.to_be_bytes());
    let offset = every * u32::try_from(number).unwrap_or(u32::MAX);
    RequestId::new(begin.plus(offset), unique)
}

fn invocation(request_id: RequestId) -> Outcome<NewInvocation> {
    Ok(NewInvocation {
        request_id,
        accepted_at: request_id.timestamp(),
        offer: Arc::new(Offer {
            function: FunctionName::new("event")?,
            trigger: Some(TriggerName::new("event")?),
            event: Event {
                id: request_id.to_string(),
                source: "/triggers/event".to_owned(),
                kind: "tripline.http.request.v1".to_owned(),
                subject: None,
                time: request_id.timestamp(),
                content_type: None,
                data: Some(Bytes::from_static(&[b'x'; 200])),
                extensions: Default::default(),
            },
            identity: Identity::Unique,
            cursors: Vec::new(),
        }),
    })
}
