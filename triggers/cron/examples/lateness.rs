//! How late ticks are: runs 1,000 timers that all fire every second, and prints the quantiles.
//!
//! `cargo run --release -p tripline-cron --example lateness`

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tripline_config::{Document, Secret, SecretError, SecretRef, Secrets};
use tripline_cron::CronKind;
use tripline_model::{
    Clock, Dispatch, Function, FunctionName, Invocation, Offer, Receipt, Rejected, RequestId,
    Stopping, Timestamp, TriggerName,
};
use tripline_trigger::testkit::{MemoryCursors, test_function};
use tripline_trigger::{Ports, Supervised, Supervisor, TriggerKind};

const TIMERS: usize = 1000;
const SECONDS: u64 = 10;

/// Takes every tick with how late it came in, in microseconds. It keeps what it takes, as a dispatcher does until that is
/// on disk: to free a thousand offers in between would be measured, too.
struct Stopwatch(Mutex<Vec<(u64, Offer)>>);

struct NoSecrets;

struct WallClock;

impl Clock for WallClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program's only reading of the wall clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

fn micros_of_wall_clock() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "finer than the milliseconds that the clock tells"
    )]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Dispatch for Stopwatch {
    async fn try_dispatch(&self, offer: Offer) -> Result<Receipt, Rejected> {
        let due = u64::try_from(offer.event.time.as_millis()).unwrap_or(0) * 1000;
        let late = micros_of_wall_clock().saturating_sub(due);
        let mut ticks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let receipt = Receipt::New(RequestId::new(offer.event.time, [0; 10]));
        ticks.push((late, offer));
        Ok(receipt)
    }

    async fn try_dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        self.dispatch_all(offers).await
    }

    async fn dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        let mut answers = Vec::with_capacity(offers.len());
        for offer in offers {
            answers.push(self.try_dispatch(offer).await);
        }
        answers
    }

    fn function(&self, name: &FunctionName) -> Option<Function> {
        Some(test_function(name.as_str()))
    }

    async fn ended(&self, _request_id: RequestId) -> Result<Option<Invocation>, Stopping> {
        Ok(None)
    }
}

impl Secrets for NoSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError::NotSet(reference.clone()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let stopwatch = Arc::new(Stopwatch(Mutex::new(Vec::with_capacity(TIMERS * 12))));
    let ports = Ports {
        dispatch: stopwatch.clone(),
        cursors: Arc::new(MemoryCursors::new()),
        clock: Arc::new(WallClock),
        gateway: Default::default(),
        secrets: Arc::new(NoSecrets),
        hub_id: Arc::from("lateness"),
    };
    let kind = CronKind::new();
    let mut timers = Vec::new();
    for number in 0..TIMERS {
        let name = TriggerName::new(&format!("timer-{number}"))?;
        let document = Document::new("example", "schedule = '* * * * * *'");
        let trigger = document.read(|table| kind.build(&name, table))?;
        timers.push(Supervised {
            name,
            kind: CronKind::NAME.to_owned(),
            function: test_function("work"),
            enabled: true,
            trigger: Box::new(trigger),
        });
    }
    let supervisor = Supervisor::start(timers, &ports);
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    supervisor.stop(Duration::from_secs(5)).await;
    let ticks = std::mem::take(&mut *stopwatch.0.lock().unwrap_or_else(PoisonError::into_inner));
    // The first second is left out: the timers are still being started in it.
    let after = ticks.get(TIMERS..).ok_or("too few ticks")?;
    let mut late: Vec<_> = after.iter().map(|(late, _)| *late).collect();
    late.sort_unstable();
    let millis = |share: usize| late[(late.len() - 1) * share / 1000] as f64 / 1000.0;
    println!(
        "{} ticks of {TIMERS} timers, from the instant to the dispatcher: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        late.len(),
        millis(500),
        millis(990),
        millis(1000)
    );
    Ok(())
}
