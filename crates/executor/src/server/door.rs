//! Where hubs come in: one at a time, and the newest is the one that counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::handshake::greet;
use super::runs::Runs;
use super::session::converse;
use crate::protocol::{Value, Welcome};

/// Connections at the same time, at most; all but one are about to come or to go.
const MAX_CONNECTIONS: usize = 16;
/// Rest after a connection could not be taken, which is mostly for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// Where hubs come in.
pub(super) struct Door {
    runs: Arc<Runs>,
    executor: String,
    release: String,
    /// Numbers connections.
    next: AtomicU64,
    /// Ends the connection that has the seat, or waits for it.
    current: Mutex<CancellationToken>,
    /// What a hub has to know.
    key: Value,
    /// Held by the connection that runs are told to.
    seat: tokio::sync::Mutex<()>,
}

// === impl Door ===

impl Door {
    pub(super) fn new(runs: Arc<Runs>, executor: String, release: String, key: Value) -> Self {
        Self {
            runs,
            executor,
            release,
            key,
            next: AtomicU64::new(1),
            current: Mutex::default(),
            seat: tokio::sync::Mutex::default(),
        }
    }

    /// Whether a hub is there.
    pub(super) fn is_taken(&self) -> bool {
        self.seat.try_lock().is_err()
    }

    /// Takes connections for ever. Dropping this ends them.
    pub(super) async fn open(self: Arc<Self>, listener: UnixListener) {
        let mut connections = JoinSet::new();
        loop {
            let has_room = connections.len() < MAX_CONNECTIONS;
            tokio::select! {
                Some(over) = connections.join_next() => {
                    if let Err(error) = over {
                        tracing::error!(%error, "a connection failed; this is a bug");
                    }
                }
                accepted = listener.accept(), if has_room => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(Arc::clone(&self).receive(stream));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(REST).await;
                    }
                },
            }
        }
    }

    /// One connection from its first word to its last.
    async fn receive(self: Arc<Self>, mut stream: UnixStream) {
        if !is_trusted(&stream) {
            tracing::warn!("a connection of another user was closed");
            return;
        }
        let Some((version, hello)) = greet(&mut stream, &self.release, self.key.expose()).await
        else {
            return;
        };
        let mine = CancellationToken::new();
        self.take_over(mine.clone()).cancel();
        let _seat = self.seat.lock().await;
        if mine.is_cancelled() {
            return;
        }
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        // The one before may have been ended in the middle of saying something.
        self.runs.detach().await;
        let welcome = Welcome {
            version,
            executor: self.executor.clone(),
            pid: std::process::id(),
            release: self.release.clone(),
            level: self.runs.kinds.level(),
            runs: self.runs.held(),
            retired: self.runs.is_retired(),
        };
        tracing::info!(hub = hello.release, number, "a hub is here");
        tokio::select! {
            over = converse(stream, welcome, &self.runs, number) => {
                tracing::info!(number, why = %over, "the hub is gone");
            }
            () = mine.cancelled() => tracing::info!(number, "another hub is here"),
        }
        self.runs.detach().await;
    }

    /// Puts the new connection's token in place of the one before.
    fn take_over(&self, token: CancellationToken) -> CancellationToken {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, token)
    }
}

/// Whether the other side is the executor's own user, or root.
fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
