//! The kinds of functions that an executor runs, and who starts them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::ServeOptions;
use crate::instance::Starter;
use crate::isolation::Isolator;
use crate::process::{ProcessStarter, Surroundings};
use crate::protocol::{FunctionSpec, Kind};
use crate::worker::Workers;

/// How long idle instances have to be gone when the executor ends.
const INSTANCES_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);

/// Who starts runs of which kind.
#[async_trait]
pub(super) trait Kinds: Send + Sync + 'static {
    /// Starts runs of this kind.
    fn starter(&self, kind: &Kind) -> Arc<dyn Starter>;

    /// What there is from now on, for those who keep instances warm.
    fn declare(&self, functions: &[Arc<FunctionSpec>]);

    /// Ends idle instances, and keeps none from now on.
    fn retire(&self);

    /// Waits until all instances are gone, and cleans up; after `retire`, when no run is left.
    async fn close(&self);

    /// What this machine can enforce, a sentence for people.
    fn level(&self) -> String;
}

/// The real ones.
pub(super) struct RealKinds {
    process: Arc<ProcessStarter>,
    workers: Arc<Workers>,
    isolation: Arc<Isolator>,
}

// === impl RealKinds ===

impl RealKinds {
    /// Looks at the machine, which touches files.
    pub(super) fn new(options: &ServeOptions) -> Self {
        // The executor's directory is DATA/executors/ID.
        let data_dir = options.dir.ancestors().nth(2).unwrap_or(&options.dir);
        let isolation = Arc::new(Isolator::detect(&options.id, &options.dir, data_dir));
        let surroundings = Surroundings {
            executor_id: options.id.clone(),
            dir: options.dir.clone(),
            isolation: Arc::clone(&isolation),
            scratches: Arc::default(),
        };
        Self {
            process: Arc::new(ProcessStarter::new(surroundings.clone())),
            workers: Arc::new(Workers::new(surroundings)),
            isolation,
        }
    }
}

#[async_trait]
impl Kinds for RealKinds {
    fn starter(&self, kind: &Kind) -> Arc<dyn Starter> {
        match kind {
            Kind::Process => Arc::clone(&self.process) as _,
            Kind::Worker(_) => Arc::clone(&self.workers) as _,
        }
    }

    fn declare(&self, functions: &[Arc<FunctionSpec>]) {
        self.workers.declare(functions);
    }

    fn retire(&self) {
        self.workers.retire();
    }

    async fn close(&self) {
        if timeout(INSTANCES_SHUTDOWN_TIMEOUT, self.workers.gone())
            .await
            .is_err()
        {
            tracing::error!("instances did not end, and are left");
        }
        self.isolation.close();
    }

    fn level(&self) -> String {
        self.isolation.level().to_string()
    }
}
