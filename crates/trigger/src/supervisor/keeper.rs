//! The life of one trigger: run, fail, wait, run again; pause and resume; stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_model::{Clock, Panic, contain};

use crate::context::Seat;
use crate::{AnyTrigger, TriggerContext, TriggerError, TriggerState};

/// How long a run may take to end when it is paused, its tasks after that or a failure, and then the notes about a
/// pause: each has its own time, for the one that is late takes none from the next. What takes longer is dropped.
const PAUSE_WITHIN: Duration = Duration::from_secs(10);

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Running this long without trouble makes the earlier failures forgotten.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Keeps one trigger.
pub(super) struct Keeper {
    pub(super) seat: Arc<Seat>,
    pub(super) trigger: Arc<dyn AnyTrigger>,
    pub(super) paused: watch::Receiver<bool>,
    pub(super) stop: CancellationToken,
    pub(super) clock: Arc<dyn Clock>,
}

/// How a run ended.
enum Ended {
    /// As it was asked to.
    Asked,
    /// Before it was asked to.
    Failed(String),
}

// === impl Keeper ===

impl Keeper {
    /// Keeps the trigger until the hub stops.
    pub(super) async fn keep(mut self) {
        let stop = self.stop.clone();
        let mut wait = FIRST_WAIT;
        while !stop.is_cancelled() {
            if *self.paused.borrow_and_update() {
                self.rest().await;
                wait = FIRST_WAIT;
                let wished = stop.run_until_cancelled(self.paused.changed()).await;
                if !matches!(wished, Some(Ok(()))) {
                    break;
                }
                continue;
            }
            self.enter(TriggerState::Starting);
            let Ended::Failed(error) = self.run().await else {
                continue;
            };
            if self.seat.board().longest_health() >= HEALTHY_AFTER {
                wait = FIRST_WAIT;
            }
            let retry_at = self.clock.now().plus(wait);
            self.seat.board().failed(&error, retry_at);
            tokio::select! {
                () = sleep(wait) => {}
                // Any wish ends the wait: a resume means "try again now".
                _ = self.paused.changed() => {}
                () = stop.cancelled() => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.enter(TriggerState::Stopped);
    }

    /// One run, from its start until nothing of it is left.
    async fn run(&mut self) -> Ended {
        let shutdown = self.stop.child_token();
        let tasks = TaskTracker::new();
        let cx = TriggerContext::new(Arc::clone(&self.seat), shutdown.clone(), tasks.clone());
        let trigger = Arc::clone(&self.trigger);
        let run = async { trigger.run(cx).await };
        let mut run = contain(Box::pin(run));
        let ended = tokio::select! {
            biased;
            ended = &mut run => match fault(ended) {
                _ if self.stop.is_cancelled() => Ended::Asked,
                None => Ended::Failed("it ended by itself".to_owned()),
                Some(fault) => Ended::Failed(fault),
            },
            () = self.stop.cancelled() => {
                // How long this may take is the supervisor's to say: it aborts this task.
                let _ = (&mut run).await;
                Ended::Asked
            }
            () = pause_wished(&mut self.paused) => {
                shutdown.cancel();
                if timeout(PAUSE_WITHIN, &mut run).await.is_err() {
                    tracing::warn!(trigger = self.seat.name().as_str(), "run was cut to pause it");
                }
                Ended::Asked
            }
        };
        drop(run);
        self.seat.board().run_ended();
        shutdown.cancel();
        tasks.close();
        let all_ended = tasks.wait();
        if timeout(PAUSE_WITHIN, all_ended).await.is_err() {
            let left = tasks.len();
            tracing::warn!(
                trigger = self.seat.name().as_str(),
                left,
                "tasks of the trigger outlive its run"
            );
        }
        ended
    }

    /// Lets the trigger note that it is paused, then says that it is.
    async fn rest(&self) {
        // What was wrong with the last run is not wrong with a trigger that is to do nothing.
        self.seat.board().forgive();
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let cx = TriggerContext::new(Arc::clone(&self.seat), shutdown, tasks);
        let noted = timeout(PAUSE_WITHIN, contain(self.trigger.paused(cx))).await;
        let late = |_| Some(format!("its notes took longer than {PAUSE_WITHIN:?}"));
        if let Some(fault) = noted.map_or_else(late, fault) {
            let trigger = self.seat.name().as_str();
            tracing::warn!(trigger, fault, "a pause could not be noted");
            let what = format!("it is paused, but that could not be noted: {fault}");
            self.seat.board().blame(&what);
        }
        self.enter(TriggerState::Paused);
    }

    fn enter(&self, state: TriggerState) {
        self.seat.board().enter(state);
    }
}

async fn pause_wished(paused: &mut watch::Receiver<bool>) {
    if paused.wait_for(|paused| *paused).await.is_err() {
        // Nobody is left who could wish anything.
        std::future::pending::<()>().await;
    }
}

/// What went wrong in what the trigger did.
fn fault(done: Result<Result<(), TriggerError>, Panic>) -> Option<String> {
    match done {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.chain()),
        Err(panic) => Some(format!("it panicked: {}", words(&panic))),
    }
}

/// What a panic said.
fn words(panic: &Panic) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let string = panic.downcast_ref::<String>().map(String::as_str);
    text.or(string).unwrap_or("no words")
}
