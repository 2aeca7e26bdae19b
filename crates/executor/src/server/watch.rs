//! One run from its start to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tripline_model::{Clock, NOT_STARTED};

use super::outcome::{self, Cause, Moment};
use super::run_control::{ControlEvent, RunControlReceiver};
use crate::instance::{Exit, HUNG_START_TIMEOUT, Instance, Job, Remains, StartError, Starter};
use crate::protocol::{Outcome, RunEnd, StopHow};

/// What a deadline can be at most: clocks overflow beyond.
const MAX_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A start under way.
type Starting = Pin<Box<dyn Future<Output = Started> + Send>>;

type Started = Result<Box<dyn Instance>, StartError>;

/// How a run ended, and what is left of it.
pub(super) struct RunResult {
    pub(super) outcome: Outcome,
    pub(super) result: Bytes,
    /// What is still alive of it.
    pub(super) remains: Option<Box<dyn Remains>>,
}

/// Runs a job to its end and returns how it ended. The starter is asked exactly once, or not at all if a kill was
/// requested before.
///
/// At the deadline the run is asked to stop, gets its grace, and is then killed: `timed_out` whatever it answers.
/// After a kill it ends as `terminated`, unless it had ended well by itself. After a graceful stop it may still end
/// well. Every end reclaims the instance before this returns, but one that comes while the start hangs: then
/// the start remains, and what comes of it.
pub(super) async fn run_to_end(
    starter: Arc<dyn Starter>,
    job: Job,
    mut control: RunControlReceiver,
    clock: &dyn Clock,
) -> RunResult {
    let began = Instant::now();
    let now = || Moment {
        at: clock.now(),
        after: began.elapsed(),
    };
    let mut watch = Watch {
        deadline: began + span(job.start.timeout_ms),
        grace: span(job.start.grace_ms),
        cause: Cause::Itself,
        killed: false,
    };
    let timeout = Duration::from_millis(job.start.timeout_ms);
    if let Some(how) = control.take_stop() {
        watch.cause = watch.cause.after(&how);
        if let StopHow::Kill(reason) = how {
            let detail = format!("{reason}: stopped before its process was started");
            let end = RunEnd::Terminated;
            return outcome::without_run(end, NOT_STARTED, Some(detail), now()).into();
        }
    }
    let maybe = starter.start_shows_event();
    let mut starting: Starting = Box::pin(async move { starter.start(job).await });
    let mut instance = match watch.started(&mut starting, &mut control).await {
        Some(Ok(instance)) => instance,
        Some(Err(error)) => {
            let detail = Some(error.to_string());
            return outcome::without_run(RunEnd::Failed, "start_failed", detail, now()).into();
        }
        None => {
            let outcome = outcome::of_start(maybe, watch.cause, timeout, now());
            let remains: Option<Box<dyn Remains>> = Some(Box::new(Hung(starting)));
            return RunResult {
                remains,
                ..outcome.into()
            };
        }
    };
    watch.catch_up(instance.as_ref());
    watch.watch(instance.as_mut(), &mut control).await;
    let moment = now();
    let exit = instance.reclaim().await;
    over(exit, watch.cause, timeout, moment)
}

/// What is waited for beside the exit.
struct Watch {
    /// When to stop the run; after that, when to kill it.
    deadline: Instant,
    grace: Duration,
    cause: Cause,
    killed: bool,
}

/// A start that hung when its run had to end.
struct Hung(Starting);

// === impl Watch ===

impl Watch {
    /// Waits for the start; `None` if it hangs while the run has to end.
    async fn started(
        &mut self,
        starting: &mut Starting,
        control: &mut RunControlReceiver,
    ) -> Option<Started> {
        let mut last_wait = None;
        loop {
            tokio::select! {
                started = starting.as_mut() => return Some(started),
                () = sleep_until(last_wait.unwrap_or(self.deadline)) => {
                    if last_wait.is_some() {
                        return None;
                    }
                    self.cause = Cause::Deadline;
                    last_wait = Some(Instant::now() + HUNG_START_TIMEOUT);
                }
                how = control.next_stop() => {
                    self.note(&how);
                    if self.killed {
                        last_wait.get_or_insert(Instant::now() + HUNG_START_TIMEOUT);
                    }
                }
            }
        }
    }

    /// Passes on to an instance what was requested while it was being started.
    fn catch_up(&mut self, instance: &dyn Instance) {
        match self.cause {
            _ if self.killed => instance.kill(),
            Cause::Itself | Cause::Killed(_) => {}
            Cause::Asked => instance.request_stop(),
            Cause::Deadline => {
                self.deadline = Instant::now() + self.grace;
                instance.request_stop();
            }
        }
    }

    fn note(&mut self, how: &StopHow) {
        let cause = std::mem::replace(&mut self.cause, Cause::Itself);
        self.cause = cause.after(how);
        self.killed |= matches!(how, StopHow::Kill(_));
    }

    fn time_is_over(&mut self, instance: &dyn Instance) {
        if self.cause == Cause::Deadline {
            self.killed = true;
            instance.kill();
        } else {
            self.cause = Cause::Deadline;
            self.deadline = Instant::now() + self.grace;
            instance.request_stop();
        }
    }

    async fn watch(&mut self, instance: &mut dyn Instance, control: &mut RunControlReceiver) {
        loop {
            tokio::select! {
                biased;
                () = instance.wait() => return,
                () = sleep_until(self.deadline), if !self.killed => {
                    // After a halt of the executor, an end in time may be known to the kernel alone.
                    tokio::select! {
                        biased;
                        () = instance.wait() => return,
                        () = std::future::ready(()) => self.time_is_over(instance),
                    }
                }
                event = control.next() => match event {
                    ControlEvent::Stop(how) => {
                        self.note(&how);
                        match how {
                            StopHow::Graceful => instance.request_stop(),
                            StopHow::Kill(_) => instance.kill(),
                        }
                    }
                    ControlEvent::Renew(credentials) => {
                        if let Err(error) = instance.renew(&credentials) {
                            tracing::warn!(%error, "new credentials could not be handed to a run");
                        }
                    }
                },
            }
        }
    }
}

#[async_trait]
impl Remains for Hung {
    async fn gone(&mut self) {
        let Ok(mut instance) = self.0.as_mut().await else {
            return;
        };
        instance.kill();
        instance.wait().await;
        if let Some(mut remains) = instance.reclaim().await.remains {
            remains.gone().await;
        }
    }
}

impl From<Outcome> for RunResult {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            result: Bytes::new(),
            remains: None,
        }
    }
}

fn over(exit: Exit, cause: Cause, timeout: Duration, moment: Moment) -> RunResult {
    let outcome = Outcome {
        peak_memory_bytes: exit.peak_memory,
        result_cut: exit.result_cut,
        ..outcome::of_run(exit.how, cause, timeout, moment)
    };
    RunResult {
        outcome,
        result: exit.result,
        remains: exit.remains,
    }
}

fn span(millis: u64) -> Duration {
    Duration::from_millis(millis).min(MAX_TIMEOUT)
}
