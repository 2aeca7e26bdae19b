//! A bound socket and its accept loop. It is our own because `axum::serve` has no timers, no limit on connections
//! and no bound on its shutdown.

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
use crate::places::Places;
use crate::serve::ConnectionContext;
use crate::tls;

/// How long the loop rests after an accept that failed for want of something, such as file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How many connections that wait for a request are closed then.
const ROOM: usize = 8;

/// What one listener puts up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Open connections, at most. When there are so many, a newcomer gets the place of the one that has waited longest
    /// for its next request; while all are used, newcomers wait in the system's backlog. At least 1.
    pub max_connections: usize,
    /// Open connections of one address, at most; further ones are refused. No more than `max_connections` counts.
    pub max_connections_per_address: usize,
    /// Bytes of bodies that come in at the same time, at most; more is answered with 503. It must hold the largest body.
    pub max_body_memory: usize,
    /// From the accept (or from the first byte of a later request) to the end of the request's head, TLS included.
    pub header_timeout: Duration,
    /// How long a connection may lie still between two requests, or take no byte of an answer. Who takes an answer
    /// slower than 1 KiB/s is cut by and by.
    pub idle_timeout: Duration,
    /// Request line and headers together, in bytes; more is answered with 431.
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
        /// What the system said.
        source: io::Error,
    },
    /// A TLS file cannot be read or holds nothing usable.
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
    /// Binds `addr`; port 0 lets the system choose. `name` stands in errors and logs.
    ///
    /// # Errors
    /// The address cannot be had, or a TLS file is not usable.
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
        let places = Places::new(
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
            let (stream, peer) = next_connection(name, &socket, &places).await;
            let seat = places.take(peer.ip()).await;
            (stream, peer, seat)
        };
        while let Some((stream, peer, seat)) = shutdown.run_until_cancelled(accepted()).await {
            let Some(seat) = seat else {
                tracing::debug!(listener = name, %peer, "this address has too many connections");
                context.turn_away(stream);
                continue;
            };
            let context = Arc::clone(&context);
            connections.spawn(async move { context.serve(stream, peer, &seat).await });
            while connections.try_join_next().is_some() {}
        }
        // Closed before the drain, so that newcomers are refused by the system instead of waiting for nobody.
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

/// The next connection. No error ends the wait: the next accept may well succeed.
async fn next_connection(
    name: &'static str,
    socket: &TcpListener,
    places: &Places,
) -> (TcpStream, SocketAddr) {
    let mut told = false;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !told {
                    tracing::warn!(listener = name, %error, "no connection can be accepted right now");
                    told = true;
                }
                // Whatever the system lacks, connections that are not used hold some of it.
                places.make_room(ROOM);
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Whether an accept failed because its connection went away again; the listener itself is well then.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
