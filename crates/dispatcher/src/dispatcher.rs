//! The owner: starts the dispatcher's tasks, and waits for them at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tripline_journal::{Journal, JournalError, LogStore};
use tripline_model::{Clock, Function, FunctionName};
use tripline_runtime::Runtime;

use crate::ids::Mint;
use crate::lane::Lane;
use crate::recovery::{just_accepted, recover};
use crate::shared::{Outside, Shared};
use crate::{DispatcherConfig, DispatcherHandle, Entropy};

/// How long killed runs may take to be reclaimed and their ends to be written.
const RECLAIM_TIMEOUT: Duration = Duration::from_secs(40);

/// How long tasks may take to notice that nothing is waited for any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Owns every task of the dispatcher. Dropped without [`Dispatcher::shutdown`], it stops starting, and the tasks of what
/// runs go on for as long as tokio runs them.
pub struct Dispatcher {
    pub(crate) shared: Arc<Shared>,
}

/// What a dispatcher is made of.
pub struct DispatcherParts {
    /// Its bounds.
    pub config: DispatcherConfig,
    /// Every function of the hub.
    pub functions: Vec<Function>,
    /// Where invocations are kept.
    pub journal: Arc<dyn Journal>,
    /// Where functions' output goes.
    pub logs: Arc<dyn LogStore>,
    /// The kinds of runtime there are.
    pub runtimes: Vec<Arc<dyn Runtime>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness for RequestIds.
    pub entropy: Entropy,
}

/// Why a dispatcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DispatcherError {
    /// A function names a runtime that is not there.
    #[error(
        "the function `{function}` needs the runtime `{runtime}`, which this hub does not have"
    )]
    UnknownRuntime {
        /// The function.
        function: FunctionName,
        /// The runtime.
        runtime: &'static str,
    },
    /// The journal could not be recovered, or locks a function to another execution mode.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

// === impl Dispatcher ===

impl Dispatcher {
    /// Recovers what the journal and the runtimes hold, takes up what goes on, then begins to take events and to start
    /// what waits. What an earlier life of the hub left running and no runtime holds must be dead before this is called.
    pub async fn start(parts: DispatcherParts) -> Result<Self, DispatcherError> {
        let runtimes: HashMap<_, _> = parts
            .runtimes
            .iter()
            .map(|runtime| (runtime.kind(), runtime.clone()))
            .collect();
        let with_runtime = |function: &Function| match runtimes.get(function.runtime) {
            Some(runtime) => Ok((function.clone(), runtime.clone())),
            None => Err(DispatcherError::UnknownRuntime {
                function: function.name.clone(),
                runtime: function.runtime,
            }),
        };
        let functions = parts.functions.iter().map(with_runtime);
        let functions = functions.collect::<Result<Vec<_>, _>>()?;
        let (journal, clock) = (parts.journal.as_ref(), parts.clock.as_ref());
        let left = recover(journal, &parts.functions, &parts.runtimes, clock).await?;
        let recent = just_accepted(journal, parts.config.qps, clock).await?;
        let lane = |(function, runtime): (Function, Arc<dyn Runtime>)| {
            let queued = left.queued.get(&function.name).copied().unwrap_or(0);
            let lost = left.lost.get(&function.name).copied().unwrap_or(0);
            Lane::new(function, runtime, queued, lost)
        };
        let lanes = functions.into_iter().map(lane).collect();
        let outside = Outside {
            journal: parts.journal,
            logs: parts.logs,
            clock: parts.clock,
            mint: Mint::new(parts.entropy),
            recent,
        };
        let shared = Arc::new(Shared::new(parts.config, lanes, outside));
        shared.take_up(left);
        for lane in shared.lanes.values() {
            shared.tasks.spawn(shared.clone().feed(lane.clone()));
        }
        shared.tasks.spawn(shared.clone().expire());
        Ok(Self { shared })
    }

    /// A handle for triggers and the API.
    pub fn handle(&self) -> DispatcherHandle {
        DispatcherHandle(self.shared.clone())
    }

    /// Resolves when the journal failed, with its words: the hub cannot go on and should exit.
    pub async fn failure(&self) -> String {
        let mut failure = self.shared.failure();
        match failure.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The sender lives in the hub, which `self` holds.
            Err(_) => std::future::pending().await,
        }
    }

    /// Refuses new events, finishes accepting, starts nothing more, and waits for what runs. After the configured
    /// time, what still runs is left alone where its runtime outlives the hub: it stays `running`, and the next life
    /// takes it up. Elsewhere it is killed and ends as `terminated`. Waiting work stays for the next life.
    pub async fn shutdown(self) {
        let shared = &self.shared;
        shared.drain();
        shared.tasks.close();
        if timeout(shared.config.drain, shared.tasks.wait())
            .await
            .is_err()
        {
            shared.detach_or_kill_runs();
            let reclaimed = timeout(RECLAIM_TIMEOUT, shared.tasks.wait()).await;
            if reclaimed.is_err() {
                tracing::error!("some runs could not be ended in time");
            }
        }
        shared.closed.cancel();
        let _ = timeout(CLOSE_TIMEOUT, shared.tasks.wait()).await;
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.shared.drain();
        self.shared.closed.cancel();
    }
}
