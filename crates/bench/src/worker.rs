//! `worker`: warm instances end to end, journal included, against a bare Runtime API loop.

use std::path::Path;

use tokio::time::Instant;

use crate::Outcome;
use crate::bare::Bare;
use crate::caller::closed_loop;
use crate::hub::{Hub, until};
use crate::pairs::Report;

const INSTANCES: usize = 8;
/// Runs that are started at the same time: more than instances, so that the start of the next is on disk while they
/// work.
const STARTED: usize = 256;
/// Events in one measurement.
const COUNT: u64 = 20_000;
/// Callers at the same time.
const CALLERS: usize = 64;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new("worker", "a bare Runtime API loop at 8 instances");
    let bare = Bare::start(INSTANCES, None).await?;
    let hub = Hub::start(program, &functions(None)?).await?;
    let url = hub.gateway("/event");
    // Both are warm before anything counts.
    loop_rate(&bare, COUNT / 10).await?;
    hub_rate(&hub, &url, COUNT / 10).await?;
    for _ in 0..pairs {
        let least = loop_rate(&bare, COUNT).await?;
        let ours = hub_rate(&hub, &url, COUNT).await?;
        report.figure("bare_per_second", least);
        report.figure("hub_per_second", ours);
        report.ratio(ours / least);
    }
    let ratio = report.median_ratio();
    report.goal("at least 0.5 of the bare loop", ratio >= 0.5);
    Ok(report)
}

/// A worker of 8 instances behind a route; `ledger` as for [`crate::function`].
pub(crate) fn functions(ledger: Option<&Path>) -> Outcome<String> {
    let own = std::env::current_exe()?;
    let ledger = ledger.map_or_else(String::new, |path| {
        format!(", '--ledger', '{}'", path.display())
    });
    Ok(format!(
        "[functions.event]\n\
         runtime = 'worker'\n\
         command = ['{}', 'instance'{ledger}]\n\
         event_format = 'raw'\n\
         concurrency = {STARTED}\n\
         min_instances = {INSTANCES}\n\
         max_instances = {INSTANCES}\n\
         [triggers.event]\n\
         kind = 'http'\n\
         function = 'event'\n\
         route = 'POST /event'\n\
         auth = 'none'\n",
        own.display()
    ))
}

/// The same calls as the hub's: what is left to compare is what happens between the call and the answer of an instance.
async fn loop_rate(bare: &Bare, count: u64) -> Outcome<f64> {
    let (begin, before) = (Instant::now(), bare.answered());
    closed_loop(&format!("http://{}/event", bare.address), count, CALLERS).await?;
    until("the loop has answered", async || {
        (bare.answered() - before >= count).then_some(())
    })
    .await?;
    Ok(per_second(count, begin))
}

async fn hub_rate(hub: &Hub, url: &str, count: u64) -> Outcome<f64> {
    let before = until("metrics", async || hub.succeeded().await).await?;
    let begin = Instant::now();
    closed_loop(url, count, CALLERS).await?;
    until("all have succeeded", async || {
        (hub.succeeded().await? - before >= count).then_some(())
    })
    .await?;
    Ok(per_second(count, begin))
}

fn per_second(count: u64, begin: Instant) -> f64 {
    count as f64 / begin.elapsed().as_secs_f64()
}
