//! `cron`: how late a thousand timers tick that all tick every second, against a thousand bare sleeps.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::Outcome;
use crate::hub::{Hub, until};
use crate::pairs::{Report, quantile};
use crate::time::{micros, millis_between};

const TIMERS: u64 = 1000;
/// Ticks of each that count.
const TICKS: u64 = 3;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new(
        "cron",
        "a thousand tasks that sleep until the same instants (p99 of theirs to p99 of the hub's)",
    );
    for _ in 0..pairs {
        let mut least = sleeps().await?;
        let mut ours = ticks(program).await?;
        let (least_p99, p99) = (quantile(&mut least, 0.99), quantile(&mut ours, 0.99));
        report.figure("sleep_p99_ms", least_p99);
        report.figure("hub_p50_ms", quantile(&mut ours, 0.5));
        report.figure("hub_p99_ms", p99);
        report.figure("hub_max_ms", quantile(&mut ours, 1.0));
        report.ratio(least_p99 / p99.max(0.1));
    }
    let p99 = report.median("hub_p99_ms");
    report.goal("p99 within 5 ms of the instant", p99 <= 5.0);
    Ok(report)
}

/// Milliseconds from the instant to the acceptance of each tick, as the hub's records show.
async fn ticks(program: &Path) -> Outcome<Vec<f64>> {
    let mut config = "[functions.work]\ncommand = ['sleep', '60']\nconcurrency = 1\n".to_owned();
    for number in 0..TIMERS {
        config.push_str(&format!(
            "[triggers.timer-{number}]\nkind = 'cron'\nfunction = 'work'\nschedule = '* * * * * *'\n"
        ));
    }
    let hub = Hub::start(program, &config).await?;
    // The first second goes to starting the timers.
    let enough = TIMERS * (TICKS + 2);
    until("enough ticks", async || {
        (hub.accepted().await? >= enough).then_some(())
    })
    .await?;
    let mut late = hub.lateness_ms().await?;
    // Newest first.
    late.truncate(usize::try_from(TIMERS * TICKS)?);
    Ok(late)
}

/// Milliseconds from the instant to the end of each bare sleep.
async fn sleeps() -> Outcome<Vec<f64>> {
    let first = (micros() / 1_000_000 + 2) * 1_000_000;
    let mut tasks = JoinSet::new();
    for _ in 0..TIMERS {
        tasks.spawn(async move {
            let mut late = Vec::new();
            for tick in 0..TICKS {
                let due = first + tick * 1_000_000;
                tokio::time::sleep(Duration::from_micros(due.saturating_sub(micros()))).await;
                late.push(millis_between(due, micros()));
            }
            late
        });
    }
    Ok(tasks.join_all().await.concat())
}
