//! Accepts connections of hubs. One hub is served at a time; a newer one replaces it.
//!
//! Functions of the same user can connect, too. So connections that have not shown the key are few, have little time,
//! and are dropped for newer ones: nobody can keep a hub out by opening many.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinError, JoinSet, yield_now};
use tokio_util::sync::CancellationToken;
use tripline_model::lock;

use super::handshake::handshake;
use super::runs::Runs;
use super::session;
use crate::key::Key;
use crate::protocol::{Hello, Welcome};

/// Connections that have not shown the key, at most.
const MAX_PENDING_HANDSHAKES: usize = 16;
/// Delay after a failed `accept`, which mostly fails for want of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Accepts connections of hubs.
pub(super) struct Acceptor {
    runs: Arc<Runs>,
    executor: String,
    release: String,
    /// Numbers connections.
    next: AtomicU64,
    /// Ends the connection that holds `active`, or waits for it.
    current: Mutex<CancellationToken>,
    /// The key that a hub has to show.
    key: Key,
    /// Held by the connection that is served.
    active: tokio::sync::Mutex<()>,
}

/// Connections that have not shown the key.
#[derive(Default)]
struct PendingHandshakes {
    tasks: JoinSet<Option<AuthenticatedHub>>,
    /// The same, oldest first.
    oldest_first: VecDeque<AbortHandle>,
}

/// A hub that has shown the key.
struct AuthenticatedHub {
    stream: UnixStream,
    version: u16,
    hello: Hello,
}

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn new(runs: Arc<Runs>, executor: String, release: String, key: Key) -> Self {
        Self {
            runs,
            executor,
            release,
            key,
            next: AtomicU64::new(1),
            current: Mutex::default(),
            active: tokio::sync::Mutex::default(),
        }
    }

    /// Whether a hub is connected.
    pub(super) fn has_hub(&self) -> bool {
        self.active.try_lock().is_err()
    }

    /// Accepts connections for ever. Dropping this ends them.
    pub(super) async fn accept_all(self: Arc<Self>, listener: UnixListener) {
        let mut pending = PendingHandshakes::default();
        // One is active; the others are about to end.
        let mut hubs = JoinSet::new();
        loop {
            tokio::select! {
                Some(ended) = hubs.join_next() => {
                    report(ended);
                }
                Some(finished) = pending.tasks.join_next() => {
                    if let Some(hub) = report(finished).flatten() {
                        hubs.spawn(Arc::clone(&self).serve_hub(hub));
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        pending.add(Arc::clone(&self).authenticate(stream));
                        // A hub whose `hello` is here already is handled before a newer connection replaces it.
                        yield_now().await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    }
                },
            }
        }
    }

    /// The handshake of a connection. `None` if the other side may not come in.
    async fn authenticate(self: Arc<Self>, mut stream: UnixStream) -> Option<AuthenticatedHub> {
        if !is_trusted(&stream) {
            tracing::warn!("a connection of another user was closed");
            return None;
        }
        let (version, hello) = handshake(&mut stream, &self.release, &self.key).await?;
        Some(AuthenticatedHub {
            stream,
            version,
            hello,
        })
    }

    /// Serves a hub's connection until it ends.
    async fn serve_hub(self: Arc<Self>, hub: AuthenticatedHub) {
        let AuthenticatedHub {
            stream,
            version,
            hello,
        } = hub;
        let mine = CancellationToken::new();
        self.replace_current(mine.clone()).cancel();
        let _active = tokio::select! {
            biased;
            () = mine.cancelled() => return,
            active = self.active.lock() => active,
        };
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        // The one before may have been ended in the middle of a message.
        self.runs.detach();
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
            ended = session::serve(stream, welcome, &self.runs, number) => {
                tracing::info!(number, why = %ended, "the hub is gone");
            }
            () = mine.cancelled() => tracing::info!(number, "another hub is here"),
        }
        self.runs.detach();
    }

    /// Makes the new connection's token the current one, and returns the one before.
    fn replace_current(&self, token: CancellationToken) -> CancellationToken {
        let mut current = lock(&self.current);
        std::mem::replace(&mut current, token)
    }
}

// === impl PendingHandshakes ===

impl PendingHandshakes {
    /// Adds a handshake, in place of the oldest if there is no room.
    fn add(&mut self, handshake: impl Future<Output = Option<AuthenticatedHub>> + Send + 'static) {
        self.oldest_first.retain(|pending| !pending.is_finished());
        if self.oldest_first.len() >= MAX_PENDING_HANDSHAKES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        self.oldest_first.push_back(self.tasks.spawn(handshake));
    }
}

/// The output of a task; `None` if it was replaced or failed.
fn report<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(done) => Some(done),
        Err(error) if error.is_cancelled() => None,
        Err(error) => {
            tracing::error!(%error, "a connection failed; this is a bug");
            None
        }
    }
}

/// Whether the other side is the executor's own user, or root.
fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
