//! Keeps one executor: a new connection when one broke, and the sweep after its death.

use std::sync::Arc;
use std::time::Duration;

use super::RunEvent;
use super::connection::{Connection, join};
use super::find::{Life, life};
use super::link::Link;
use super::shared::Shared;
use super::sweep::{sweep, sweep_on};

/// The first wait between two attempts to connect again.
const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(10);

/// The longest.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// How a broken connection went on.
enum Next {
    Connected(Connection),
    /// The executor is dead; with its lock.
    Dead(Option<std::fs::File>),
    /// The hub lets go.
    Closed,
}

/// Uses, and makes again, the connection to an executor until it dies; then sweeps what it left, and only then ends
/// its runs and sees to another.
pub(super) async fn keep(shared: Arc<Shared>, link: Arc<Link>, mut connection: Connection) {
    let lock = loop {
        let trouble = tokio::select! {
            trouble = link.run_connection(connection) => trouble,
            () = shared.closed.cancelled() => return,
        };
        tracing::debug!(executor = %link.folder.id, %trouble, "a connection ended");
        connection = match reconnect(&shared, &link).await {
            Next::Connected(connection) => connection,
            Next::Dead(lock) => break lock,
            Next::Closed => return,
        };
    };
    let (id, pid) = (&link.folder.id, link.pid);
    let was_current = shared.unmake_current(&link, format!("executor {id} died"));
    let left = sweep(&link.folder, lock.as_ref()).await;
    let lost = {
        let mut table = link.table();
        table.close()
    };
    shared
        .links
        .send_modify(|links| links.retain(|other| !Arc::ptr_eq(other, &link)));
    let mut why = format!("executor {id} (process {pid}) died");
    if let Some(left) = &left {
        tracing::error!(executor = %id, left, "not all of a dead executor could be ended");
        why = format!("{why}; {left}");
    }
    if lost.is_empty() {
        tracing::info!(executor = %id, pid, "an executor ended");
    } else {
        tracing::error!(executor = %id, pid, runs = lost.len(), "an executor died, its runs are lost");
    }
    for inbox in &lost {
        inbox.lose(&why, left.is_none());
    }
    if left.is_some() {
        let sweeping = Arc::clone(&shared);
        shared.tasks.spawn(async move {
            tokio::select! {
                () = sweep_on(&link.folder, lock.as_ref()) => {}
                () = sweeping.closed.cancelled() => return,
            }
            for inbox in lost {
                // Nothing but the loss came before it.
                let _ = inbox.put(RunEvent::Reclaimed);
            }
        });
    }
    if was_current {
        shared.replace().await;
    }
}

/// Connects again, as often as it takes while the executor is alive.
async fn reconnect(shared: &Shared, link: &Link) -> Next {
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.closed.cancelled() => return Next::Closed,
        }
        let failed = match life(&link.folder).await {
            Ok(Life::Dead(lock)) => return Next::Dead(lock),
            Err(error) => error,
            Ok(Life::Alive) => match join(&link.folder, &shared.config.release).await {
                Ok((connection, welcome)) => {
                    link.rejoined(welcome);
                    return Next::Connected(connection);
                }
                Err(error) => error,
            },
        };
        if pause == MAX_RECONNECT_DELAY {
            tracing::warn!(error = %failed, "an executor cannot be reached");
        }
        pause = (pause * 2).clamp(MIN_RECONNECT_DELAY, MAX_RECONNECT_DELAY);
    }
}
