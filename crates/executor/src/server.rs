//! The executor itself: does what a hub asks, watches over runs, and keeps what no hub has taken yet.
//!
//! Connections are [accepted](accept); a [session] turns a hub's messages into calls on the [table of runs](runs). Each
//! run has a [task](run_task) of its own and fills its [outbox], which a session empties when the connection has
//! room for it. So a hub that is slow, silent or gone never holds up a run, and costs bounded memory.

mod accept;
mod backlog;
mod chunk;
mod directory;
mod end;
mod handshake;
mod kinds;
mod outbox;
mod outcome;
mod ready;
mod run_control;
mod run_task;
mod runs;
mod session;
mod spill;
mod stored;
#[cfg(test)]
mod tests;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tripline_model::Clock;

use self::accept::Acceptor;
use self::directory::ExecutorDirectory;
use self::kinds::{Kinds, RealKinds};
use self::runs::Runs;
use crate::process::tend_orphans;

/// How often the executor checks that its directory is still there.
const DIRECTORY_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long it waits for a hub when it holds no run.
const IDLE_EXIT_TIMEOUT: Duration = Duration::from_secs(600);
/// How long runs that were killed have to be over when the executor ends.
const SHUTDOWN_KILL_TIMEOUT: Duration = Duration::from_secs(8);

/// What an executor has to know.
pub struct ServeOptions {
    /// Its directory, `DATA/executors/ID`; made if it is not there.
    pub dir: PathBuf,
    /// Its id.
    pub id: String,
    /// Which build it is, for people.
    pub release: String,
    /// The time of lines and ends.
    pub clock: Arc<dyn Clock>,
    /// When cancelled, all runs are killed and the executor ends.
    pub shutdown: CancellationToken,
}

/// Why an executor cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something in its directory could not be done.
    #[error("the executor's directory could not be {doing}: {error}")]
    Directory {
        /// What.
        doing: &'static str,
        /// Why not.
        error: std::io::Error,
    },
    /// Another executor has the directory.
    #[error("another executor has the lock of this directory")]
    Taken,
    /// The socket could not be opened.
    #[error("the executor's socket could not be opened: {0}")]
    Socket(std::io::Error),
}

/// Runs an executor until it has nothing to do any more (it was told to retire, or no hub came for ten minutes, and it
/// holds no run), or until it must not go on (its directory is gone, or it was told to shut down): then all of its runs
/// are killed.
pub async fn serve(options: ServeOptions) -> Result<(), ServeError> {
    let directory = ExecutorDirectory::enter(&options.dir)?;
    let kinds = Arc::new(RealKinds::new(&options));
    // Ended with the set, when all else has ended.
    let mut beside = JoinSet::new();
    beside.spawn(tend_orphans(options.id.clone()));
    serve_kinds(options, directory, kinds).await
}

async fn serve_kinds(
    options: ServeOptions,
    directory: ExecutorDirectory,
    kinds: Arc<dyn Kinds>,
) -> Result<(), ServeError> {
    let runs = Runs::new(Arc::clone(&kinds), options.clock, directory.spill());
    let runs = Arc::new(runs);
    let acceptor = Arc::new(Acceptor::new(
        Arc::clone(&runs),
        options.id,
        options.release,
        directory.key(),
    ));
    let listener = directory.listen()?;
    tokio::select! {
        () = Arc::clone(&acceptor).accept_all(listener) => {}
        () = no_more_to_do(&runs, &acceptor) => {}
        () = gone(&directory) => tracing::error!("the executor's directory is gone: everything is killed"),
        () = options.shutdown.cancelled() => tracing::info!("told to shut down"),
    }
    // The hub is not notified that the runs are killed; it finds the executor gone, and they are lost in either case.
    directory.leave();
    runs.kill_all(SHUTDOWN_KILL_TIMEOUT).await;
    kinds.close().await;
    Ok(())
}

/// Until nothing is held and nothing will come.
async fn no_more_to_do(runs: &Runs, acceptor: &Acceptor) {
    let mut looks = looks();
    let mut busy = Instant::now();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = runs.done() => {}
        }
        if !runs.is_empty() {
            busy = Instant::now();
        } else if runs.is_retired() {
            return;
        }
        if acceptor.has_hub() {
            busy = Instant::now();
        }
        if busy.elapsed() >= IDLE_EXIT_TIMEOUT {
            return;
        }
    }
}

/// Until the directory or the lock in it is not the one that was entered.
async fn gone(directory: &ExecutorDirectory) {
    let mut looks = looks();
    loop {
        looks.tick().await;
        if !directory.is_ours() {
            return;
        }
    }
}

fn looks() -> tokio::time::Interval {
    let mut looks = interval(DIRECTORY_CHECK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
