//! Where hubs come in: one at a time, and the newest is the one that counts.
//!
//! Functions of the same user can connect, too. So who has not shown the key yet has little room and little time, and
//! makes room for who comes later: nobody can keep a hub out by taking all places.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinError, JoinSet, yield_now};
use tokio_util::sync::CancellationToken;

use super::handshake::handshake;
use super::runs::Runs;
use super::session;
use crate::protocol::{Hello, Value, Welcome};

/// Connections that have not shown the key, at most.
const MAX_STRANGERS: usize = 16;
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

/// Connections that have not shown the key.
#[derive(Default)]
struct Lobby {
    greeted: JoinSet<Option<Guest>>,
    /// The same, oldest first.
    waiting: VecDeque<AbortHandle>,
}

/// A hub that has shown the key.
struct Guest {
    stream: UnixStream,
    version: u16,
    hello: Hello,
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
        let mut lobby = Lobby::default();
        // One has the seat; the others are about to leave.
        let mut hubs = JoinSet::new();
        loop {
            tokio::select! {
                Some(over) = hubs.join_next() => {
                    report(over);
                }
                Some(greeted) = lobby.greeted.join_next() => {
                    if let Some(guest) = report(greeted).flatten() {
                        hubs.spawn(Arc::clone(&self).receive(guest));
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        lobby.admit(Arc::clone(&self).check(stream));
                        // Who has said hello already is heard before somebody else takes the place.
                        yield_now().await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(REST).await;
                    }
                },
            }
        }
    }

    /// The first words of a connection. `None` if it is of nobody who may come in.
    async fn check(self: Arc<Self>, mut stream: UnixStream) -> Option<Guest> {
        if !is_trusted(&stream) {
            tracing::warn!("a connection of another user was closed");
            return None;
        }
        let (version, hello) = handshake(&mut stream, &self.release, self.key.expose()).await?;
        Some(Guest {
            stream,
            version,
            hello,
        })
    }

    /// A connection of a hub, until its last word.
    async fn receive(self: Arc<Self>, guest: Guest) {
        let Guest {
            stream,
            version,
            hello,
        } = guest;
        let mine = CancellationToken::new();
        self.take_over(mine.clone()).cancel();
        let _seat = tokio::select! {
            biased;
            () = mine.cancelled() => return,
            seat = self.seat.lock() => seat,
        };
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        // The one before may have been ended in the middle of saying something.
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
            over = session::serve(stream, welcome, &self.runs, number) => {
                tracing::info!(number, why = %over, "the hub is gone");
            }
            () = mine.cancelled() => tracing::info!(number, "another hub is here"),
        }
        self.runs.detach();
    }

    /// Puts the new connection's token in place of the one before.
    fn take_over(&self, token: CancellationToken) -> CancellationToken {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, token)
    }
}

// === impl Lobby ===

impl Lobby {
    /// Lets somebody in, in place of who has waited longest if there is no room.
    fn admit(&mut self, greeting: impl Future<Output = Option<Guest>> + Send + 'static) {
        self.waiting.retain(|waiting| !waiting.is_finished());
        if self.waiting.len() >= MAX_STRANGERS
            && let Some(oldest) = self.waiting.pop_front()
        {
            oldest.abort();
        }
        self.waiting.push_back(self.greeted.spawn(greeting));
    }
}

/// What came of a task; `None` if it made room, or failed.
fn report<T>(over: Result<T, JoinError>) -> Option<T> {
    match over {
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
