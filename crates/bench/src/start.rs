//! `start`: from a call to the function's first step, at an even 1,000 a second.

use std::collections::HashMap;
use std::path::Path;

use crate::Outcome;
use crate::bare::Bare;
use crate::caller::even_pace;
use crate::hub::{Hub, until};
use crate::pairs::{Report, quantile};

use crate::time::millis_between;
use crate::worker::functions;

const INSTANCES: usize = 8;
const RATE: u64 = 1000;
const COUNT: u64 = 5000;
const CALLERS: u64 = 64;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new(
        "start",
        "the same calls to a bare Runtime API loop without a journal (p99 of the loop to p99 of the hub)",
    );
    for _ in 0..pairs {
        let folder = tempfile::tempdir()?;
        let ledger = folder.path().join("bare");
        let bare = Bare::start(INSTANCES, Some(&ledger)).await?;
        let mut least = measure(&format!("http://{}/event", bare.address), &ledger).await?;
        drop(bare);

        let ledger = folder.path().join("hub");
        std::fs::File::create(&ledger)?;
        let hub = Hub::start(program, &functions(Some(&ledger))?).await?;
        let mut ours = measure(&hub.gateway("/event"), &ledger).await?;
        drop(hub);

        let (least_p99, p99) = (quantile(&mut least, 0.99), quantile(&mut ours, 0.99));
        report.figure("bare_p50_ms", quantile(&mut least, 0.5));
        report.figure("bare_p99_ms", least_p99);
        report.figure("hub_p50_ms", quantile(&mut ours, 0.5));
        report.figure("hub_p99_ms", p99);
        report.ratio(least_p99 / p99);
    }
    let p99 = report.median("hub_p99_ms");
    report.goal("p99 under 20 ms from the call to the function", p99 < 20.0);
    Ok(report)
}

/// Milliseconds from each call to the function that answers it.
async fn measure(url: &str, ledger: &Path) -> Outcome<Vec<f64>> {
    let sent = even_pace(url, COUNT, RATE, CALLERS).await?;
    let begun = until("every event has begun", async || {
        let begun = read(ledger);
        (begun.len() >= sent.len()).then_some(begun)
    })
    .await?;
    let spans = sent
        .iter()
        .filter_map(|(event, at)| Some(millis_between(*at, *begun.get(event)?)));
    Ok(spans.collect())
}

/// When each event began, out of the instances' ledger.
fn read(ledger: &Path) -> HashMap<u64, u64> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let entry = |line: &str| {
        let (event, at) = line.split_once(' ')?;
        Some((event.parse().ok()?, at.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}
