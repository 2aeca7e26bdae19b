//! A bound socket and its accept loop. The loop is our own because `axum::serve` has no timeouts, no limit on
//! connections and no bound on its shutdown.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::TlsFiles;
use crate::bodies::Bodies;
use crate::connection_slots::ConnectionSlots;
use crate::serve::ConnectionContext;
use crate::tls;

/// The pause after an accept that failed for want of a resource, such as file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// How many waiting connections are closed after such a failure, to free what was missing.
const EVICTED_PER_FAILURE: usize = 8;

/// The limits of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Open connections, at most. A new connection beyond that evicts the one that has waited longest for its next
    /// request; while all are in use, new connections wait in the system's backlog. At least 1.
    pub max_connections: usize,
    /// Open connections of one address, at most; further ones are refused. No more than `max_connections` counts.
    pub max_connections_per_address: usize,
    /// Memory for bodies that come in at the same time, in bytes; more gets 503. It must hold the largest body.
    pub max_body_memory: usize,
    /// From the accept (or from the first byte of a later request) to the end of the request's head, TLS included.
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests, or take no byte of a response. A peer that reads slower
    /// than 1 KiB/s is cut off in the end.
    pub idle_timeout: Duration,
    /// Request line and headers together, in bytes; more gets 431.
    pub max_header_bytes: usize,
}

/// A socket that is bound and not yet served.
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    local_addr: SocketAddr,
    limits: ListenerLimits,
    tls: Option<TlsAcceptor>,
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("the {name} listener cannot listen on {addr}: {source}")]
    Bind {
        /// Which listener.
        name: &'static str,
        /// The address asked for.
        addr: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A TLS file cannot be read, or has nothing usable in it.
    #[error("the {name} listener cannot use {path:?} for TLS: {reason}")]
    TlsFile {
        /// Which listener.
        name: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; never what is in it.
        reason: String,
    },
}

// === impl ListenerLimits ===

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_connections_per_address: usize::MAX,
            max_body_memory: 128 << 20,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_header_bytes: 32 * 1024,
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Binds `addr`; port 0 lets the system choose. `name` appears in errors and logs.
    ///
    /// # Errors
    /// The address cannot be bound, or a TLS file cannot be used.
    pub async fn bind(
        name: &'static str,
        addr: SocketAddr,
        limits: ListenerLimits,
        tls: Option<TlsFiles>,
    ) -> Result<Self, ListenError> {
        let tls = match tls {
            Some(files) => Some(tls::acceptor(name, &files).await?),
            None => None,
        };
        let cannot_bind = |source| ListenError::Bind { name, addr, source };
        let socket = TcpListener::bind(addr).await.map_err(cannot_bind)?;
        let local_addr = socket.local_addr().map_err(cannot_bind)?;
        Ok(Self {
            name,
            socket,
            local_addr,
            limits,
            tls,
        })
    }

    /// The address that was bound, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown`; then closes the socket, lets requests in flight finish for at most `drain`, and cuts
    /// the rest. Requests carry `axum::extract::ConnectInfo<SocketAddr>`.
    pub async fn serve(self, app: Router, shutdown: CancellationToken, drain: Duration) {
        let limits = &self.limits;
        let slots = ConnectionSlots::new(
            limits.max_connections,
            limits.max_connections_per_address,
            limits.header_timeout,
        );
        let bodies = Bodies::new(limits.max_body_memory);
        let mut connections = JoinSet::new();
        let Self {
            name, socket, tls, ..
        } = self;
        let context = Arc::new(ConnectionContext {
            name,
            limits: self.limits,
            tls,
            app,
            bodies,
            shutdown: shutdown.clone(),
        });
        let accepted = async || {
            let (stream, peer) = next_connection(name, &socket, &slots).await;
            let slot = slots.acquire(peer.ip()).await;
            (stream, peer, slot)
        };
        while let Some((stream, peer, slot)) = shutdown.run_until_cancelled(accepted()).await {
            let Some(slot) = slot else {
                tracing::debug!(listener = name, %peer, "this address has too many connections");
                context.reject(stream);
                continue;
            };
            let context = Arc::clone(&context);
            connections.spawn(async move { context.serve(stream, peer, &slot).await });
            while connections.try_join_next().is_some() {}
        }
        // Closed before the drain, so that the system refuses new connections, which nobody would accept.
        drop(socket);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(drain, finished).await.is_err() {
            let left = connections.len();
            tracing::warn!(
                listener = name,
                left,
                "connections were cut at the end of the drain"
            );
            connections.shutdown().await;
        }
    }
}

/// The next connection. An error does not end the wait: the next accept may well succeed.
async fn next_connection(
    name: &'static str,
    socket: &TcpListener,
    slots: &ConnectionSlots,
) -> (TcpStream, SocketAddr) {
    let mut is_logged = false;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if !is_logged {
                    tracing::warn!(listener = name, %error, "no connection can be accepted right now");
                    is_logged = true;
                }
                // Whatever the system lacks, idle connections hold some of it.
                slots.evict(EVICTED_PER_FAILURE);
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Whether an accept failed because its connection went away again; the listener itself works then.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
