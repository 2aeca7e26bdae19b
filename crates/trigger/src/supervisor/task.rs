//! Supervises one trigger: runs it, restarts it after a failure, pauses, resumes and stops it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_model::{Clock, Panic, contain};

use crate::context::TriggerEnvironment;
use crate::{AnyTrigger, TriggerContext, TriggerError, TriggerState};

/// How long each step of a pause may take: the end of the run, the end of its tasks (after a failure, too), and the
/// notes about the pause. Each has its own time, so that a late one takes none from the next; it is dropped then.
const PAUSE_STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// The delay before the restart after the first failure; it doubles with each further one.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The longest delay before a restart.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// After running this long without trouble, the next failure counts as the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// The supervisor's task for one trigger.
pub(super) struct TriggerTask {
    pub(super) environment: Arc<TriggerEnvironment>,
    pub(super) trigger: Arc<dyn AnyTrigger>,
    pub(super) paused: watch::Receiver<bool>,
    pub(super) stop: CancellationToken,
    pub(super) clock: Arc<dyn Clock>,
}

/// How a run ended.
enum Ended {
    /// It was asked to end.
    AsRequested,
    /// It ended before it was asked to, for this reason.
    Failed(String),
}

// === impl TriggerTask ===

impl TriggerTask {
    /// Supervises the trigger until the hub stops.
    pub(super) async fn supervise(mut self) {
        let stop = self.stop.clone();
        let mut delay = FIRST_RETRY_DELAY;
        while !stop.is_cancelled() {
            if *self.paused.borrow_and_update() {
                self.pause().await;
                delay = FIRST_RETRY_DELAY;
                let requested = stop.run_until_cancelled(self.paused.changed()).await;
                if !matches!(requested, Some(Ok(()))) {
                    break;
                }
                continue;
            }
            self.enter(TriggerState::Starting);
            let Ended::Failed(error) = self.run_once().await else {
                continue;
            };
            if self.environment.status().longest_health() >= HEALTHY_AFTER {
                delay = FIRST_RETRY_DELAY;
            }
            let retry_at = self.clock.now().plus(delay);
            self.environment.status().failed(&error, retry_at);
            tokio::select! {
                () = sleep(delay) => {}
                // Any request ends the delay: a resume means "try again now".
                _ = self.paused.changed() => {}
                () = stop.cancelled() => {}
            }
            delay = (delay * 2).min(MAX_RETRY_DELAY);
        }
        self.enter(TriggerState::Stopped);
    }

    /// One run, from its start until its tasks have ended.
    async fn run_once(&mut self) -> Ended {
        let shutdown = self.stop.child_token();
        let tasks = TaskTracker::new();
        let cx = TriggerContext::new(
            Arc::clone(&self.environment),
            shutdown.clone(),
            tasks.clone(),
        );
        let trigger = Arc::clone(&self.trigger);
        let run = async { trigger.run(cx).await };
        let mut run = contain(Box::pin(run));
        let ended = tokio::select! {
            biased;
            ended = &mut run => match failure_of(ended) {
                _ if self.stop.is_cancelled() => Ended::AsRequested,
                None => Ended::Failed("it ended by itself".to_owned()),
                Some(failure) => Ended::Failed(failure),
            },
            () = self.stop.cancelled() => {
                // No timeout here: the supervisor aborts this task if it takes too long.
                let _ = (&mut run).await;
                Ended::AsRequested
            }
            () = pause_requested(&mut self.paused) => {
                shutdown.cancel();
                if timeout(PAUSE_STEP_TIMEOUT, &mut run).await.is_err() {
                    tracing::warn!(trigger = self.environment.name().as_str(), "run was cut to pause it");
                }
                Ended::AsRequested
            }
        };
        drop(run);
        self.environment.status().run_ended();
        shutdown.cancel();
        tasks.close();
        let all_ended = tasks.wait();
        if timeout(PAUSE_STEP_TIMEOUT, all_ended).await.is_err() {
            let left = tasks.len();
            tracing::warn!(
                trigger = self.environment.name().as_str(),
                left,
                "tasks of the trigger outlive its run"
            );
        }
        ended
    }

    /// Lets the trigger note that it is paused, then shows it as paused.
    async fn pause(&self) {
        // An error of the last run does not concern a trigger that is not meant to run.
        self.environment.status().clear_error();
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let cx = TriggerContext::new(Arc::clone(&self.environment), shutdown, tasks);
        let noted = timeout(PAUSE_STEP_TIMEOUT, contain(self.trigger.paused(cx))).await;
        let late = |_| Some(format!("its notes took longer than {PAUSE_STEP_TIMEOUT:?}"));
        if let Some(failure) = noted.map_or_else(late, failure_of) {
            let trigger = self.environment.name().as_str();
            tracing::warn!(trigger, fault = failure, "a pause could not be noted");
            let what = format!("it is paused, but that could not be noted: {failure}");
            self.environment.status().set_error(&what);
        }
        self.enter(TriggerState::Paused);
    }

    fn enter(&self, state: TriggerState) {
        self.environment.status().enter(state);
    }
}

async fn pause_requested(paused: &mut watch::Receiver<bool>) {
    if paused.wait_for(|paused| *paused).await.is_err() {
        // The handles are gone: nobody can request a pause any more.
        std::future::pending::<()>().await;
    }
}

/// Why a call of the trigger failed, if it did.
fn failure_of(done: Result<Result<(), TriggerError>, Panic>) -> Option<String> {
    match done {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.chain()),
        Err(panic) => Some(format!("it panicked: {}", panic_message(&panic))),
    }
}

/// A panic's message.
fn panic_message(panic: &Panic) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let string = panic.downcast_ref::<String>().map(String::as_str);
    text.or(string).unwrap_or("no words")
}
