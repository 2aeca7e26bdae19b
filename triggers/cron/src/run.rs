//! A running timer: arms the next tick, sees to its answer, and keeps on disk how far it came.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tripline_model::{Identity, Offer, Receipt, Rejected, Timestamp};
use tripline_trigger::{Trigger, TriggerContext, TriggerError};

use crate::base;
use crate::bell::{Answer, Armed};
use crate::config::Config;
use crate::event::{Tick, event, stamp};
use crate::heartbeat::Heartbeat;
use crate::planner::{Plan, Planner};

/// A tick up to this late has just been kept waiting; later than this it was missed.
const GRACE: Duration = Duration::from_millis(2500);

/// The rest between two offers of a tick that was refused for the time being.
const REST: Duration = Duration::from_secs(1);

/// How often a waiting timer looks whether the wall clock was set back. Not at every beat: a thousand timers that wake
/// for that are in the way of the ticks that are due then.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A wall clock this far behind what was dealt with is worth telling.
const CLOCK_BEHIND: Duration = Duration::from_secs(60);

/// One timer.
pub struct CronTrigger {
    config: Config,
    heartbeat: Arc<Heartbeat>,
    grace: Duration,
}

/// How an offer went.
enum Offered {
    /// There is a receipt; if it is a new one, since then.
    Accepted(Option<Timestamp>),
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
    bell: mpsc::Sender<Armed>,
    late: metrics::Histogram,
    missed: u64,
    /// What the trigger's state says is wrong.
    trouble: Option<Trouble>,
}

/// What is wrong with a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The wall clock is far behind, until it is not any more.
    Clock,
    /// A tick was refused, until one is accepted.
    Tick,
}

// === impl CronTrigger ===

impl CronTrigger {
    pub(crate) fn new(config: Config, heartbeat: Arc<Heartbeat>) -> Self {
        Self {
            config,
            heartbeat,
            grace: GRACE,
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
        bell: mpsc::Sender<Armed>,
    ) -> Result<(), TriggerError> {
        let stream = base::stream(&self.config.schedule);
        let base = base::load(cx, &stream).await?;
        let labels = [("trigger", cx.name().to_string())];
        let mut running = Running {
            trigger: self,
            cx,
            stream,
            planner: Planner::new(&self.config, self.grace, base),
            bell,
            late: metrics::histogram!("tripline_cron_late_seconds", &labels),
            missed: 0,
            trouble: None,
        };
        cx.fact("missed", running.missed);
        cx.ready();
        while !cx.shutdown().is_cancelled() {
            running.step().await?;
        }
        Ok(())
    }
}

impl Trigger for CronTrigger {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let bell = self.heartbeat.join(cx.clock()).await;
        let ended = self.drive(&cx, bell).await;
        self.heartbeat.leave().await;
        ended
    }

    async fn paused(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        // Nobody wants a tick of the pause to fire at its end.
        base::forget(&cx).await
    }
}

// === impl Offered ===

impl Offered {
    /// The receipt came at that time.
    fn receipted(receipt: &Receipt, at: Timestamp) -> Self {
        Self::Accepted(matches!(receipt, Receipt::New(_)).then_some(at))
    }
}

// === impl Running ===

impl Running<'_> {
    /// Does what the plan says, until it is done or something may have changed.
    async fn step(&mut self) -> Result<(), TriggerError> {
        let now = self.cx.clock().now();
        match self.planner.plan(now) {
            Plan::Fire(tick) => self.fire(tick, now, None).await,
            Plan::GiveUp(tick) => {
                let why = format!("{} ticks were missed", tick.missed);
                self.give_up(tick, "late", &why).await
            }
            Plan::Wait(next) => {
                self.look_at_clock(now);
                self.wait_for(next).await
            }
            Plan::Never => {
                self.cx.fact("next_fire", "never: the schedule has ended");
                self.cx.shutdown().cancelled().await;
                Ok(())
            }
        }
    }

    /// Arms the tick of `at` and waits until it was handed over, or something may have changed.
    async fn wait_for(&mut self, at: Timestamp) -> Result<(), TriggerError> {
        let tick = Tick { at, missed: 0 };
        let (rung, mut answer) = oneshot::channel();
        let armed = Armed {
            cx: self.cx.clone(),
            offer: self.offer_of(tick),
            grace: self.trigger.grace,
            deadline: self.trigger.config.deadline,
            rung,
        };
        self.cx.fact("next_fire", at);
        let sent = self.bell.send(armed).await;
        sent.map_err(|_| TriggerError::new("the bell that all timers share has stopped"))?;
        loop {
            tokio::select! {
                biased;
                rung = &mut answer => return match rung {
                    Ok(rung) => self.fire(tick, rung.at, rung.answer).await,
                    Err(_) => Ok(()),
                },
                () = self.cx.shutdown().cancelled() => return Ok(()),
                () = sleep(LOOK_EVERY) => self.look_at_clock(self.cx.clock().now()),
            }
        }
    }

    fn offer_of(&self, tick: Tick) -> Offer {
        let identity = Identity::Position {
            stream: self.stream.clone(),
            position: u64::try_from(tick.at.as_millis()).unwrap_or(0),
        };
        let event = event(self.cx.name(), &self.trigger.config, tick);
        self.cx.offer(event, identity)
    }

    /// Sees a tick through that is fired at `now`, or was: then its answer is given, unless there was none in time.
    async fn fire(
        &mut self,
        tick: Tick,
        now: Timestamp,
        answer: Option<Answer>,
    ) -> Result<(), TriggerError> {
        match self.offer(tick, now, answer).await? {
            Offered::Accepted(at) => {
                // Of a tick that was accepted before nobody knows here how late it was.
                if let Some(at) = at {
                    self.late.record(at.since(tick.at).as_secs_f64());
                }
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
                let what = format!("the tick of {} was not accepted: {why}", tick.at);
                self.troubled(Trouble::Tick, what);
            }
            Offered::Shutdown => {}
        }
        Ok(())
    }

    /// Offers the tick until there is a receipt, it is too late, or the run is to end. `answer` is that of an offer
    /// that was made already.
    async fn offer(
        &mut self,
        tick: Tick,
        now: Timestamp,
        mut answer: Option<Answer>,
    ) -> Result<Offered, TriggerError> {
        let cx = self.cx;
        // A tick in time may wait as long as a missed one may be late.
        let late = cx.clock().now().since(tick.at);
        let budget = self.trigger.config.deadline.saturating_sub(late);
        let mut last = Rejected::Unavailable;
        let attempts = async {
            loop {
                if answer.is_none() {
                    let mut offer = self.offer_of(tick);
                    stamp(&mut offer.event, now);
                    let result = cx.dispatch().dispatch_all(vec![offer]).await.pop();
                    let at = cx.clock().now();
                    answer = result.map(|result| Answer { at, result });
                }
                if let Some(Answer { at, result }) = answer.take() {
                    match result {
                        Ok(receipt) => return Offered::receipted(&receipt, at),
                        Err(rejected) if !rejected.is_passing() => {
                            return Offered::GivenUp(rejected.as_str(), rejected.to_string());
                        }
                        Err(rejected) => last = rejected,
                    }
                }
                tracing::warn!(trigger = %self.cx.name(), scheduled = %tick.at, reason = %last, "a tick is refused for now");
                self.troubled(Trouble::Tick, last.to_string());
                sleep(REST).await;
            }
        };
        let bounded = timeout(budget, attempts);
        let in_time = tokio::select! {
            biased;
            offered = bounded => offered.ok(),
            () = cx.shutdown().cancelled() => return Ok(Offered::Shutdown),
        };
        match in_time {
            Some(offered) => Ok(offered),
            None => self.last_word(tick, now).await,
        }
    }

    /// Whether a tick that is too late was accepted nevertheless: who lets go of an offer does not know whether it was on
    /// its way to the disk.
    async fn last_word(&self, tick: Tick, now: Timestamp) -> Result<Offered, TriggerError> {
        let word = async {
            let answer = self.offer_now(tick, now).await;
            if !answer.as_ref().is_err_and(Rejected::is_passing) {
                return Ok(answer);
            }
            // Such a refusal looks only at what is on disk, and the first offer may still be on its way there, with the
            // last free place. What is written now comes after it.
            base::save(self.cx, &self.stream, self.planner.base()).await?;
            Ok(self.offer_now(tick, now).await)
        };
        let Some(answer) = self.cx.shutdown().run_until_cancelled(word).await else {
            return Ok(Offered::Shutdown);
        };
        Ok(match answer? {
            Ok(receipt) => Offered::receipted(&receipt, self.cx.clock().now()),
            Err(Rejected::OverLimit { .. } | Rejected::QueueFull { .. }) => {
                let why = "no room within `misfire_deadline`".to_owned();
                Offered::GivenUp("no_room", why)
            }
            Err(rejected) => Offered::GivenUp(rejected.as_str(), rejected.to_string()),
        })
    }

    /// Offers the tick without waiting for room. An offer on its way to the disk is answered before this one is stored.
    async fn offer_now(&self, tick: Tick, now: Timestamp) -> Result<Receipt, Rejected> {
        let mut offer = self.offer_of(tick);
        stamp(&mut offer.event, now);
        let mut answers = self.cx.dispatch().try_dispatch_all(vec![offer]).await;
        answers.pop().unwrap_or(Err(Rejected::Unknown))
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

    /// A clock that was set far back keeps the timer silent, because nothing fires twice. This is reported
    /// as long as it lasts.
    fn look_at_clock(&mut self, now: Timestamp) {
        let base = self.planner.base();
        let is_behind = base.since(now) > CLOCK_BEHIND;
        if is_behind && self.trouble.is_none() {
            let what = format!(
                "the clock shows {now}, but this timer has come to {base}: nothing fires until it is past that"
            );
            self.troubled(Trouble::Clock, what);
        } else if !is_behind && self.trouble == Some(Trouble::Clock) {
            self.recovered();
        }
    }

    fn troubled(&mut self, trouble: Trouble, what: String) {
        self.trouble = Some(trouble);
        self.cx.trouble(what);
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            self.cx.ready();
        }
    }
}

#[cfg(test)]
mod tests;
