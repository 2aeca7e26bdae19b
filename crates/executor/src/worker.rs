//! Warm instances: programs that ask for one event after the other at a Runtime API, AWS Lambda's or SCF's. Each
//! [instance](warm) has an endpoint of its own ([`api`]) and an [event slot](event_slot); those of one function are a
//! [pool].

mod api;
mod claimed;
mod environment;
mod event_slot;
mod exit;
mod pool;
mod pool_maintenance;
mod run;
#[cfg(test)]
mod tests;
mod warm;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio_util::task::TaskTracker;
use tripline_model::lock;

use self::pool::Pool;
use self::run::WorkerRun;
use crate::instance::{Instance, Job, StartError, Starter};
use crate::process::{Launcher, Surroundings};
use crate::protocol::{FunctionSpec, Kind, WorkerSpec};

/// Starts runs of `worker` functions on warm instances. Nothing is left of it after [`retire`](Self::retire) and
/// [`gone`](Self::gone).
pub(crate) struct Workers {
    launcher: Arc<Launcher>,
    tasks: TaskTracker,
    pools: Mutex<HashMap<String, Arc<Pool>>>,
}

// === impl Workers ===

impl Workers {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self {
            launcher: Arc::new(Launcher::new(surroundings)),
            tasks: TaskTracker::new(),
            pools: Mutex::default(),
        }
    }

    /// All functions there are from now on. Idle instances of those that changed or are not there any more are ended,
    /// those that work after their work; `min_instances` of the new ones are started. Call it within the runtime.
    pub(crate) fn declare(&self, functions: &[Arc<FunctionSpec>]) {
        let mut pools = self.pools();
        let mut before = std::mem::take(&mut *pools);
        for spec in functions {
            let Kind::Worker(worker) = &spec.kind else {
                continue;
            };
            let pool = match before.remove(&spec.name) {
                Some(pool) if pool.spec == *spec => pool,
                changed => {
                    changed.inspect(|pool| pool.retire());
                    let pool = self.new_pool(spec, worker);
                    self.tasks.spawn(pool_maintenance::maintain(pool.clone()));
                    pool
                }
            };
            pools.insert(spec.name.clone(), pool);
        }
        for gone in before.into_values() {
            gone.retire();
        }
    }

    /// Ends all idle instances; those that work end after their work. Nothing is kept warm any more.
    pub(crate) fn retire(&self) {
        for pool in self.pools().values() {
            pool.retire();
        }
    }

    /// Waits until no instance is left. Call it after [`retire`](Self::retire) and the end of all runs.
    pub(crate) async fn gone(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn new_pool(&self, spec: &Arc<FunctionSpec>, worker: &WorkerSpec) -> Arc<Pool> {
        let (launcher, tasks) = (self.launcher.clone(), self.tasks.clone());
        Arc::new(Pool::new(spec.clone(), worker.clone(), launcher, tasks))
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<String, Arc<Pool>>> {
        lock(&self.pools)
    }

    /// The pool of the job's function. A job may come with a function as it was before the last declaration: then its
    /// instance is not kept.
    fn pool(&self, job: &Job, worker: &WorkerSpec) -> Arc<Pool> {
        let declared = self.pools().get(&job.spec.name).cloned();
        declared
            .filter(|pool| pool.spec == job.spec)
            .unwrap_or_else(|| {
                let pool = self.new_pool(&job.spec, worker);
                pool.retire();
                pool
            })
    }
}

#[async_trait]
impl Starter for Workers {
    async fn start(&self, job: Job) -> Result<Box<dyn Instance>, StartError> {
        let Kind::Worker(worker) = &job.spec.kind else {
            return Err(StartError::NoProgram(job.spec.name.clone()));
        };
        let pool = self.pool(&job, worker);
        Ok(Box::new(WorkerRun::begin(pool, job).await?))
    }

    fn start_shows_event(&self) -> bool {
        false
    }
}
