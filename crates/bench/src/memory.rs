//! `memory`: what an idle instance costs us, beside its own process.

use std::path::Path;

use crate::Outcome;
use crate::hub::{Hub, until};
use crate::pairs::Report;

const INSTANCES: u32 = 64;
/// What one may cost.
const BUDGET_KIB: f64 = 200.0;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new(
        "memory",
        "a budget of 200 KiB an idle instance (the budget to what it takes)",
    );
    for _ in 0..pairs {
        let without = resident(program, 0).await?;
        let with = resident(program, INSTANCES).await?;
        let each = (with - without) / f64::from(INSTANCES);
        report.figure("without_instances_kib", without);
        report.figure("instance_kib", each);
        report.ratio(BUDGET_KIB / each.max(1.0));
    }
    let each = report.median("instance_kib");
    report.goal(
        "an idle instance takes less than 200 KiB of ours",
        each < BUDGET_KIB,
    );
    Ok(report)
}

/// KiB that hub and executor hold with so many idle instances.
async fn resident(program: &Path, instances: u32) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let ready = folder.path().join("ready");
    std::fs::create_dir(&ready)?;
    let own = std::env::current_exe()?;
    // Each says that it is about to ask for events.
    let command = format!(
        "touch '{}'/$$; exec '{}' instance",
        ready.display(),
        own.display()
    );
    let function = format!(
        "[functions.idle]\nruntime = 'worker'\ncommand = ['sh', '-c', '''{command}''']\n\
         concurrency = {INSTANCES}\nmin_instances = {instances}\n"
    );
    let hub = Hub::start(program, &function).await?;
    let count = || std::fs::read_dir(&ready).map_or(0, Iterator::count);
    until("all instances are there", async || {
        (count() >= instances as usize).then_some(())
    })
    .await?;
    // They have asked once nothing grows any more.
    let mut last = 0;
    until("memory has settled", async || {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let now = hub.resident_bytes();
        let settled = now == last;
        last = now;
        settled.then_some(())
    })
    .await?;
    Ok(last as f64 / 1024.0)
}
