//! One run from its start to its end.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tripline_model::{Clock, NOT_STARTED};

use super::outcome::{self, Cause, Moment};
use super::stop::{Order, Orderly};
use crate::instance::{Exit, Instance, Job, Remains, Starter};
use crate::protocol::{Outcome, StopHow, Verdict};

/// What a deadline can be at most: clocks overflow beyond.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A run that is over.
pub(super) struct Over {
    pub(super) outcome: Outcome,
    pub(super) result: Bytes,
    /// What is still alive of it.
    pub(super) remains: Option<Box<dyn Remains>>,
}

/// Runs a job to its end and says how it was. The starter is asked exactly once, or not at all if a kill was ordered
/// before.
///
/// At the deadline the run is asked politely, gets its grace, and is then killed: `timed_out` whatever it answers.
/// After a kill it ends as `terminated`, unless it had ended well by itself. After a polite request to stop it may
/// still end well. Every end reclaims the instance before this returns.
pub(super) async fn run_to_end(
    starter: &dyn Starter,
    job: Job,
    mut orders: Orderly,
    clock: &dyn Clock,
) -> Over {
    let began = Instant::now();
    let now = || Moment {
        at: clock.now(),
        after: began.elapsed(),
    };
    let mut watch = Watch {
        deadline: began + span(job.start.timeout_ms),
        grace: span(job.start.grace_ms),
        cause: Cause::Itself,
    };
    let timeout = Duration::from_millis(job.start.timeout_ms);
    if let Some(how) = orders.take_stop() {
        watch.cause = watch.cause.after(&how);
        if let StopHow::Kill(reason) = how {
            let detail = format!("{reason}: stopped before its process was started");
            let verdict = Verdict::Terminated;
            return outcome::without_run(verdict, NOT_STARTED, Some(detail), now()).into();
        }
    }
    let mut instance = match starter.start(job).await {
        Ok(instance) => instance,
        Err(error) => {
            let detail = Some(error.to_string());
            return outcome::without_run(Verdict::Failed, "start_failed", detail, now()).into();
        }
    };
    if watch.cause == Cause::Asked {
        instance.terminate();
    }
    watch.watch_over(instance.as_mut(), &mut orders).await;
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
}

// === impl Watch ===

impl Watch {
    async fn watch_over(&mut self, instance: &mut dyn Instance, orders: &mut Orderly) {
        let mut killed = false;
        loop {
            tokio::select! {
                () = instance.wait() => return,
                () = sleep_until(self.deadline), if !killed => {
                    if self.cause == Cause::Deadline {
                        killed = true;
                        instance.kill();
                    } else {
                        self.cause = Cause::Deadline;
                        self.deadline = Instant::now() + self.grace;
                        instance.terminate();
                    }
                }
                order = orders.next() => match order {
                    Order::Stop(how) => {
                        let cause = std::mem::replace(&mut self.cause, Cause::Itself);
                        self.cause = cause.after(&how);
                        match how {
                            StopHow::Polite => instance.terminate(),
                            StopHow::Kill(_) => {
                                killed = true;
                                instance.kill();
                            }
                        }
                    }
                    Order::Renew(keys) => {
                        if let Err(error) = instance.renew(&keys) {
                            tracing::warn!(%error, "new keys could not be handed to a run");
                        }
                    }
                },
            }
        }
    }
}

impl From<Outcome> for Over {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            result: Bytes::new(),
            remains: None,
        }
    }
}

fn over(exit: Exit, cause: Cause, timeout: Duration, moment: Moment) -> Over {
    let outcome = Outcome {
        peak_memory_bytes: exit.peak_memory,
        result_cut: exit.result_cut,
        ..outcome::of_run(exit.how, cause, timeout, moment)
    };
    Over {
        outcome,
        result: exit.result,
        remains: exit.remains,
    }
}

fn span(millis: u64) -> Duration {
    Duration::from_millis(millis).min(LONGEST)
}
