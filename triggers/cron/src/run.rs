//! A running timer: waits for the instant, offers the tick, and keeps on disk how far it came.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tripline_model::{Event, Identity, Rejected, Timestamp};
use tripline_trigger::{Trigger, TriggerContext, TriggerError};

use crate::base;
use crate::config::Config;
use crate::event::{Tick, event, stamp};
use crate::heartbeat::Heartbeat;
use crate::planner::{Plan, Planner};

/// A tick up to this late has just been kept waiting; later than this it was missed.
const GRACE: Duration = Duration::from_millis(2500);

/// The longest sleep without a look at the wall clock, should the heartbeat fail.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The rest between two offers of a tick that was refused for the time being.
const REST: Duration = Duration::from_secs(1);

/// The pause between a tick and the work for the one after it.
const AFTERWARDS: Duration = Duration::from_millis(20);

/// A wall clock this far behind the last tick is worth telling.
const CLOCK_BEHIND: Duration = Duration::from_secs(60);

/// One timer.
pub struct CronTrigger {
    config: Config,
    heartbeat: Arc<Heartbeat>,
    grace: Duration,
    /// The last run was asked to end: if there is another one, somebody had paused the trigger.
    was_asked_to_end: AtomicBool,
}

/// How an offer went.
enum Offered {
    /// There is a receipt.
    Accepted,
    /// There will be none.
    GivenUp(&'static str, String),
    /// The run is to end.
    Shutdown,
}

/// One run of a timer.
struct Running<'r> {
    trigger: &'r CronTrigger,
    cx: &'r TriggerContext,
    stream: String,
    planner: Planner<'r>,
    /// The event of the next tick, made while there is time.
    armed: Option<Event>,
    late: metrics::Histogram,
    missed: u64,
    is_troubled: bool,
}

// === impl CronTrigger ===

impl CronTrigger {
    pub(crate) fn new(config: Config, heartbeat: Arc<Heartbeat>) -> Self {
        Self {
            config,
            heartbeat,
            grace: GRACE,
            was_asked_to_end: AtomicBool::new(false),
        }
    }

    /// Counts ticks as missed only when they are later than this.
    #[cfg(test)]
    pub(crate) fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    async fn drive(
        &self,
        cx: &TriggerContext,
        mut beats: watch::Receiver<()>,
    ) -> Result<(), TriggerError> {
        let stream = base::stream(&self.config.schedule);
        let base = if self.was_asked_to_end.swap(false, Ordering::Relaxed) {
            // Nobody wants a tick of the pause to fire at its end.
            base::reset(cx, &stream).await?
        } else {
            base::load(cx, &stream).await?
        };
        let labels = [("trigger", cx.name().to_string())];
        let mut running = Running {
            trigger: self,
            cx,
            stream,
            planner: Planner::new(&self.config, self.grace, base),
            armed: None,
            late: metrics::histogram!("tripline_cron_late_seconds", &labels),
            missed: 0,
            is_troubled: false,
        };
        cx.fact("missed", running.missed);
        cx.ready();
        while !cx.shutdown().is_cancelled() {
            running.step(&mut beats).await?;
        }
        self.was_asked_to_end.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Trigger for CronTrigger {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let beats = self.heartbeat.join().await;
        let ended = self.drive(&cx, beats).await;
        self.heartbeat.leave().await;
        ended
    }
}

// === impl Running ===

impl Running<'_> {
    /// Does what the plan says, until it is done or something may have changed.
    async fn step(&mut self, beats: &mut watch::Receiver<()>) -> Result<(), TriggerError> {
        let now = self.cx.clock().now();
        match self.planner.plan(now) {
            Plan::Fire(tick) => return self.fire(tick, now).await,
            Plan::GiveUp(tick) => {
                let why = format!("{} ticks were missed", tick.missed);
                return self.give_up(tick, "late", &why).await;
            }
            Plan::Wait(next) => {
                self.arm(next);
                self.look_at_clock(now);
                // Not before the instant: the time that is left is rounded up, never down.
                let left = next.since(now).min(LONGEST_SLEEP);
                let until = Instant::now() + left;
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = beat(beats) => {}
                    () = self.cx.shutdown().cancelled() => {}
                }
            }
            Plan::Never => {
                self.cx.fact("next_fire", "never: the schedule has ended");
                self.cx.shutdown().cancelled().await;
            }
        }
        Ok(())
    }

    fn arm(&mut self, next: Timestamp) {
        if self.armed.as_ref().is_none_or(|event| event.time != next) {
            let tick = Tick {
                at: next,
                missed: 0,
            };
            self.armed = Some(event(self.cx.name(), &self.trigger.config, tick));
            self.cx.fact("next_fire", next);
        }
    }

    async fn fire(&mut self, tick: Tick, now: Timestamp) -> Result<(), TriggerError> {
        let late = now.since(tick.at);
        self.late.record(late.as_secs_f64());
        // A tick in time may wait as long as a missed one may be late.
        let budget = self.trigger.config.deadline.saturating_sub(late);
        match self.offer(tick, now, budget).await {
            Offered::Accepted => {
                // Other timers are due at the same instant: they go before what this one does for its next tick.
                sleep(AFTERWARDS).await;
                if tick.missed > 1 {
                    self.note_missed("late", tick.missed - 1);
                }
                self.planner.done(tick.at);
                self.recovered();
            }
            Offered::GivenUp(reason, why) => {
                let tick = Tick {
                    missed: tick.missed.max(1),
                    ..tick
                };
                self.give_up(tick, reason, &why).await?;
                self.troubled(format!("the tick of {} was not accepted: {why}", tick.at));
            }
            Offered::Shutdown => {}
        }
        Ok(())
    }

    /// Offers the tick until there is a receipt, the budget is used up, or the run is to end.
    async fn offer(&mut self, tick: Tick, now: Timestamp, budget: Duration) -> Offered {
        let position = u64::try_from(tick.at.as_millis()).unwrap_or(0);
        let identity = Identity::Position {
            stream: self.stream.clone(),
            position,
        };
        let armed = self.armed.take().filter(|event| event.time == tick.at);
        let mut event = match armed {
            Some(event) if tick.missed == 0 => event,
            _ => event(self.cx.name(), &self.trigger.config, tick),
        };
        stamp(&mut event, now);
        let offer = self.cx.offer(event, identity);
        let mut last = Rejected::Unavailable;
        let attempts = async {
            loop {
                let answers = self.cx.dispatch().dispatch_all(vec![offer.clone()]).await;
                match answers.into_iter().next() {
                    Some(Ok(_)) => return Offered::Accepted,
                    Some(Err(rejected)) if !rejected.is_passing() => {
                        return Offered::GivenUp(rejected.as_str(), rejected.to_string());
                    }
                    Some(Err(rejected)) => last = rejected,
                    None => {}
                }
                tracing::warn!(trigger = %self.cx.name(), scheduled = %tick.at, reason = %last, "a tick is refused for now");
                self.cx.trouble(last.to_string());
                self.is_troubled = true;
                sleep(REST).await;
            }
        };
        let bounded = timeout(budget, attempts);
        tokio::select! {
            biased;
            offered = bounded => offered.unwrap_or_else(|_| {
                let why = "no room within `misfire_deadline`".to_owned();
                Offered::GivenUp("no_room", why)
            }),
            () = self.cx.shutdown().cancelled() => Offered::Shutdown,
        }
    }

    /// Lets go of everything up to the tick, for good: a restart does not bring it back.
    async fn give_up(
        &mut self,
        tick: Tick,
        reason: &'static str,
        why: &str,
    ) -> Result<(), TriggerError> {
        tracing::warn!(trigger = %self.cx.name(), latest = %tick.at, missed = tick.missed, reason, why, "ticks are given up");
        self.note_missed(reason, tick.missed);
        base::save(self.cx, &self.stream, tick.at).await?;
        self.planner.done(tick.at);
        Ok(())
    }

    fn note_missed(&mut self, reason: &'static str, count: u64) {
        let labels = [
            ("trigger", self.cx.name().to_string()),
            ("reason", reason.to_owned()),
        ];
        metrics::counter!("tripline_cron_missed_total", &labels).increment(count);
        self.missed += count;
        self.cx.fact("missed", self.missed);
    }

    /// A clock that was set far back keeps the timer silent, because nothing fires twice: say so.
    fn look_at_clock(&mut self, now: Timestamp) {
        let behind = self.planner.base().since(now);
        if behind > CLOCK_BEHIND && !self.is_troubled {
            let base = self.planner.base();
            self.troubled(format!(
                "the clock shows {now}, before the last tick of {base}: nothing fires until it is past that"
            ));
        }
    }

    fn troubled(&mut self, what: String) {
        self.is_troubled = true;
        self.cx.trouble(what);
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.is_troubled) {
            self.cx.ready();
        }
    }
}

async fn beat(beats: &mut watch::Receiver<()>) {
    if beats.changed().await.is_err() {
        // Nobody will beat again; the timers have their own sleep.
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
