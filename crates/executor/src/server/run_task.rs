//! The task of one run, from its start until nothing of it is alive.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tripline_model::{RequestId, contain};

use super::outbox::Outbox;
use super::outcome::{self, Moment};
use super::run_control::RunControlReceiver;
use super::runs::Runs;
use super::watch::{RunResult, run_to_end};
use crate::instance::Job;
use crate::protocol::{FunctionSpec, RunEnd, Start};

/// The task of one run.
pub(super) struct RunTask {
    pub(super) runs: Arc<Runs>,
    pub(super) id: RequestId,
    pub(super) outbox: Outbox,
}

// === impl RunTask ===

impl RunTask {
    /// Runs the function, or reports why it does not run; returns when nothing of it is alive.
    pub(super) async fn run(
        self,
        function: Result<Arc<FunctionSpec>, String>,
        start: Start,
        data: Bytes,
        control: RunControlReceiver,
    ) {
        self.outbox.remark(&start.remarks);
        let limit = function.as_ref().ok().and_then(|f| f.limits.memory_bytes);
        let mut over = match function {
            Ok(spec) => {
                let job = Job {
                    id: self.id,
                    spec,
                    start,
                    data,
                    output: Arc::new(self.outbox.clone()),
                };
                self.run_function(job, control).await
            }
            Err(why) => self.without_run(RunEnd::Failed, "start_failed", why, Duration::ZERO),
        };
        over.outcome.memory_limit_bytes = limit;
        let reclaimed = over.remains.is_none();
        self.outbox.end(over.outcome, &over.result, reclaimed);
        if let Some(mut remains) = over.remains {
            tracing::warn!(run = %self.id, "processes of a run did not go away when they were killed");
            remains.gone().await;
            self.outbox.reclaim();
            self.runs.drop_if_done(self.id);
        }
    }

    /// A panic ends this run alone.
    async fn run_function(&self, job: Job, control: RunControlReceiver) -> RunResult {
        let began = Instant::now();
        let starter = self.runs.kinds.starter(&job.spec.kind);
        let run = pin!(run_to_end(starter, job, control, self.runs.clock.as_ref()));
        if let Ok(over) = contain(run).await {
            return over;
        }
        tracing::error!(run = %self.id, "the executor failed at a run; this is a bug");
        let why = "the executor failed at it; this is a bug in Tripline".to_owned();
        self.without_run(RunEnd::Lost, "executor_error", why, began.elapsed())
    }

    fn without_run(&self, end: RunEnd, reason: &str, why: String, after: Duration) -> RunResult {
        let at = self.runs.clock.now();
        outcome::without_run(end, reason, Some(why), Moment { at, after }).into()
    }
}
