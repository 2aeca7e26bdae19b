//! One run from its start to its ending.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tripline_model::{Clock, End, Ending};

use crate::{Exit, Instance, Runtime, Start, Stop, StopSignal};

/// Why the run was told to end, if it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Itself,
    Asked,
    Killed(&'static str),
    Deadline,
}

/// Runs one invocation to its end and says how it ended. The runtime is asked to start exactly once, or not at all if
/// a kill was asked for before.
///
/// At the deadline the run is asked politely, gets the function's grace, and is then killed: `timed_out` whatever it
/// answers. After a [`Stop::Kill`] it ends as `terminated`, unless it had ended well by itself. After a
/// [`Stop::Polite`] it may still end well. Every end reclaims the instance before this returns.
pub async fn run_to_end(
    runtime: &dyn Runtime,
    start: Start,
    mut stop: StopSignal,
    clock: &dyn Clock,
) -> Ending {
    let asked = stop.take();
    if let Some(Stop::Kill(reason)) = asked {
        return Ending::new(End::Terminated, clock.now(), reason)
            .because("stopped before its process was started");
    }
    let function = start.function.clone();
    let deadline = Instant::now() + function.timeout;
    let mut instance = match runtime.start(start).await {
        Ok(instance) => instance,
        Err(error) => {
            return Ending::new(End::Failed, clock.now(), "start_failed")
                .because(error.to_string());
        }
    };
    if asked.is_some() {
        instance.terminate();
    }
    let mut watch = Watch {
        deadline,
        grace: function.grace,
        cause: asked.map_or(Cause::Itself, |_| Cause::Asked),
    };
    watch.watch_over(instance.as_mut(), &mut stop).await;
    let exit = instance.reclaim().await;
    ending(exit, watch.cause, clock, function.timeout)
}

/// What is waited for beside the exit.
struct Watch {
    /// When to stop the run; after that, when to kill it.
    deadline: Instant,
    grace: Duration,
    cause: Cause,
}

impl Watch {
    async fn watch_over(&mut self, instance: &mut dyn Instance, stop: &mut StopSignal) {
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
                how = stop.next() => match how {
                    Stop::Polite => {
                        if self.cause == Cause::Itself {
                            self.cause = Cause::Asked;
                        }
                        instance.terminate();
                    }
                    Stop::Kill(reason) => {
                        if self.cause != Cause::Deadline {
                            self.cause = Cause::Killed(reason);
                        }
                        killed = true;
                        instance.kill();
                    }
                },
            }
        }
    }
}

fn ending(exit: Exit, cause: Cause, clock: &dyn Clock, timeout: Duration) -> Ending {
    let well = exit.code == Some(0);
    let now = clock.now();
    let ending = match cause {
        Cause::Deadline => Ending::new(End::TimedOut, now, "timeout")
            .because(format!("ran longer than its timeout of {timeout:?}")),
        _ if well => Ending::new(End::Succeeded, now, "exit_code"),
        Cause::Killed(reason) => Ending::new(End::Terminated, now, reason),
        Cause::Asked => Ending::new(End::Terminated, now, "terminated")
            .because("was asked to stop and did not end well"),
        Cause::Itself if exit.signal.is_some() => Ending::new(End::Failed, now, "signal"),
        Cause::Itself => Ending::new(End::Failed, now, "exit_code"),
    };
    Ending {
        exit_code: exit.code,
        signal: exit.signal,
        result: Some(exit.result),
        result_cut: exit.result_cut,
        ..ending
    }
}
