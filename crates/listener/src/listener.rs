//! A bound socket and its accept loop. It is our own because `axum::serve` has no timers, no limit on connections
//! and no bound on its shutdown.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::TlsFiles;
use crate::serve::Door;
use crate::tls;

/// How long the loop rests after an accept that failed for want of something, such as file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What one listener puts up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Open connections, at most; further ones wait in the system's backlog. At least 1.
    pub max_connections: usize,
    /// From the accept (or from the first byte of a later request) to the end of the request's head, TLS included.
    pub header_timeout: Duration,
    /// How long a connection may lie still between two requests, or take no byte of an answer.
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
        let places = Arc::new(Semaphore::new(self.limits.max_connections.max(1)));
        let mut connections = JoinSet::new();
        let Self {
            name, socket, tls, ..
        } = self;
        let door = Arc::new(Door {
            limits: self.limits,
            tls,
            app,
            shutdown: shutdown.clone(),
        });
        let accepted = async || next_connection(name, &socket, &places).await;
        while let Some((stream, peer, place)) = shutdown.run_until_cancelled(accepted()).await {
            let door = Arc::clone(&door);
            connections.spawn(async move {
                door.connection(stream, peer).await;
                drop(place);
            });
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

/// The next connection, once there is a place for it. No error ends the wait: the next accept may well succeed.
async fn next_connection(
    name: &'static str,
    socket: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(listener = name, %error, "no connection can be accepted right now");
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
