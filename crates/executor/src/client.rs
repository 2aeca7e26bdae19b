//! The hub's side: finds, joins, starts and outlives executors, and passes runs to them.

mod connection;
mod entry;
mod error;
mod find;
mod handle;
mod inbox;
mod keeper;
mod launch;
mod link;
mod run;
mod shared;
mod sweep;
mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tripline_model::Clock;

use self::connection::{Connection, join};
use self::find::{Folder, Life, folders, life};
use self::link::Link;
use self::shared::Shared;
use self::sweep::{sweep, sweep_on};

pub use self::error::ClientError;
pub use self::handle::Client;
pub use self::launch::executor_args;
pub use self::run::{NumberedLine, Run, RunEvent};

/// Time to send what is still to be sent, at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for executors that hold nothing to end, at the end.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for an executor that is found and lets nobody in.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two looks at it.
const JOIN_RETRY_DELAY: Duration = Duration::from_millis(10);

/// Where executors are, and what a new one is.
#[derive(Clone)]
pub struct ExecutorsConfig {
    /// The hub's data directory, which this process has locked: one hub at a time.
    pub data_dir: PathBuf,
    /// The binary of a new executor, as an absolute path such as `/proc/self/exe`. It gets [`executor_args`].
    pub program: PathBuf,
    /// Which build this is. Executors of other builds end what they hold and are given nothing more.
    pub release: String,
    /// The time, for ids.
    pub clock: Arc<dyn Clock>,
}

/// The executors of one data directory. Dropping it leaves them and what they run alone.
pub struct Executors {
    shared: Arc<Shared>,
}

// === impl Executors ===

impl Executors {
    /// Joins every living executor of the data directory, sweeps what dead ones left, and starts one unless one of
    /// this release lives. Nothing is started before all that is dead was swept.
    pub async fn start(config: ExecutorsConfig) -> Result<Self, ClientError> {
        let (living, mut left) = sweep_dead(folders(&config.data_dir).await?).await?;
        let executors = Self {
            shared: Shared::new(config),
        };
        let shared = &executors.shared;
        for folder in living {
            match join_or_sweep(folder, &shared.config.release).await? {
                Found::Living(link, connection) => drop(shared.adopt(*link, connection)),
                Found::Left(remains) => left.push(remains),
                Found::Gone => {}
            }
        }
        for Remains { folder, lock } in left {
            let sweeping = Arc::clone(shared);
            shared.tasks.spawn(async move {
                tokio::select! {
                    () = sweep_on(&folder, lock.as_ref()) => {}
                    () = sweeping.closed.cancelled() => {}
                }
            });
        }
        let links = shared.links();
        let serves =
            |link: &&Arc<Link>| link.release == shared.config.release && !link.table().is_retired();
        let current = links.iter().find(serves);
        for link in &links {
            if current.is_none_or(|current| !Arc::ptr_eq(current, link)) {
                link.change(table::Table::retire);
            }
        }
        match current {
            Some(link) => shared.make_current(Arc::clone(link)),
            None => shared.start_new().await?,
        }
        Ok(executors)
    }

    /// A handle, as many as are needed.
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.shared))
    }

    /// Lets go. If no run is held, the executors end, for which is waited shortly; otherwise all stay as they are.
    pub async fn close(self) {
        let shared = &self.shared;
        shared.ending.cancel();
        let links = shared.links();
        let last_words = async {
            for link in &links {
                link.settled().await;
            }
        };
        if tokio::time::timeout(FLUSH_TIMEOUT, last_words)
            .await
            .is_err()
        {
            tracing::warn!("not everything could be said to the executors before the end");
        }
        if links.iter().all(|link| link.table().held().is_empty()) {
            for link in &links {
                link.change(table::Table::retire);
            }
            let mut left = shared.links.subscribe();
            let gone = left.wait_for(Vec::is_empty);
            if tokio::time::timeout(RETIRE_TIMEOUT, gone).await.is_err() {
                tracing::warn!(
                    "an executor has not ended yet; it will, or the next start of the hub finds it"
                );
            }
        }
        shared.closed.cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
    }
}

impl Drop for Executors {
    fn drop(&mut self) {
        self.shared.ending.cancel();
        self.shared.closed.cancel();
    }
}

/// What came of the folder of an executor.
enum Found {
    Living(Box<Link>, Connection),
    Gone,
    Left(Remains),
}

/// A dead executor of which not all could be ended.
struct Remains {
    folder: Folder,
    lock: Option<File>,
}

/// Sweeps the folders of dead executors. Returns those of the others, and those of which something is left.
async fn sweep_dead(all: Vec<Folder>) -> Result<(Vec<Folder>, Vec<Remains>), ClientError> {
    let (mut living, mut left) = (Vec::new(), Vec::new());
    for folder in all {
        match life(&folder).await? {
            Life::Alive => living.push(folder),
            Life::Dead(lock) => left.extend(sweep_after(folder, lock).await),
        }
    }
    Ok((living, left))
}

async fn sweep_after(folder: Folder, lock: Option<File>) -> Option<Remains> {
    tracing::info!(executor = %folder.id, "sweeping after a dead executor");
    let left = sweep(&folder, lock.as_ref()).await?;
    tracing::error!(executor = %folder.id, left, "not all of a dead executor could be ended");
    Some(Remains { folder, lock })
}

/// Joins a living executor; one that dies meanwhile is swept instead. One that holds its lock but lets nobody in may be
/// just starting or ending, or have many connections waiting, so it has some time.
async fn join_or_sweep(folder: Folder, release: &str) -> Result<Found, ClientError> {
    let by = Instant::now() + JOIN_TIMEOUT;
    loop {
        let error = match join(&folder, release).await {
            Ok((connection, welcome)) => {
                let link = Box::new(Link::new(folder, welcome));
                return Ok(Found::Living(link, connection));
            }
            Err(error) => error,
        };
        if let Life::Dead(lock) = life(&folder).await? {
            let left = sweep_after(folder, lock).await;
            return Ok(left.map_or(Found::Gone, Found::Left));
        }
        if !error.is_passing() || Instant::now() >= by {
            return Err(error);
        }
        tokio::time::sleep(JOIN_RETRY_DELAY).await;
    }
}
