//! One connection from its accept to its close.

use std::convert::Infallible;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tripline_model::contain;

use crate::ListenerLimits;
use crate::bodies::{Bodies, BodyContext};
use crate::connection_slots::Slot;
use crate::exchange::{Exchange, Waiting};
use crate::pace::{self, Paced};
use crate::problem::{Acceptance, Problem};
use crate::raw_responses;

/// Requests with more headers than this get 431.
const MAX_HEADERS: usize = 100;

/// The smallest buffer hyper agrees to work with, in bytes.
const MIN_BUFFER_BYTES: usize = 8192;

/// The listener that a request came through.
#[derive(Clone, Copy)]
pub(crate) struct ListenerName(pub(crate) &'static str);

/// What all connections of one listener share.
pub(crate) struct ConnectionContext {
    pub(crate) name: &'static str,
    pub(crate) limits: ListenerLimits,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) app: Router,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) shutdown: CancellationToken,
}

// === impl ConnectionContext ===

impl ConnectionContext {
    /// Serves a connection until it ends. On shutdown it ends after the request in flight. It also ends when its slot is
    /// needed while it waits for its peer.
    pub(crate) async fn serve(&self, stream: TcpStream, peer: SocketAddr, slot: &Slot) {
        // Responses are small and written whole: waiting to fill a packet only costs time.
        let _ = stream.set_nodelay(true);
        let head_by = Instant::now() + self.limits.header_timeout;
        match &self.tls {
            None => self.serve_http(stream, peer, head_by, slot).await,
            Some(tls) => {
                let handshake = timeout_at(head_by, tls.accept(stream));
                let accepted = tokio::select! {
                    accepted = handshake => accepted,
                    () = self.shutdown.cancelled() => return,
                    () = slot.eviction_requested() => return,
                };
                match accepted {
                    Ok(Ok(stream)) => self.serve_http(stream, peer, head_by, slot).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "TLS handshake not finished"),
                }
            }
        }
    }

    /// Refuses a connection for which there is no slot, in one write that does not block.
    pub(crate) fn reject(&self, stream: TcpStream) {
        if self.tls.is_none()
            && let Ok(mut stream) = stream.into_std()
        {
            // Best effort: the peer may be gone, or not read.
            let _ = stream.write_all(&raw_responses::too_many_connections());
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    async fn serve_http<IO>(&self, stream: IO, peer: SocketAddr, head_by: Instant, slot: &Slot)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let exchanges = &slot.exchanges;
        let pace = pace::Limits {
            header: self.limits.header_timeout,
            idle: self.limits.idle_timeout,
        };
        let io = TokioIo::new(Paced::new(stream, pace, exchanges.clone(), head_by));
        let body_context = BodyContext {
            bodies: Arc::clone(&self.bodies),
            exchanges: exchanges.clone(),
        };
        let service = service_fn(|mut request: Request<Incoming>| {
            let exchange = exchanges.begin();
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(body_context.clone());
            request.extensions_mut().insert(ListenerName(self.name));
            respond(self.app.clone(), request, exchange)
        });
        let max_header_bytes = self.limits.max_header_bytes;
        let connection = http1::Builder::new()
            // hyper has one timer for an idle connection and for a slow head; `Paced` tells them apart.
            .header_read_timeout(None)
            .max_headers(MAX_HEADERS)
            .max_header_size(max_header_bytes)
            .max_buf_size((2 * max_header_bytes).max(MIN_BUFFER_BYTES))
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        let outcome = loop {
            tokio::select! {
                outcome = &mut connection => break outcome,
                () = self.shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    break connection.await;
                }
                () = slot.eviction_requested() => match exchanges.waiting() {
                    Some(Waiting::ForHead(_)) => {
                        tracing::debug!(%peer, "waiting connection closed: its slot is needed");
                        return;
                    }
                    Some(Waiting::ForBody(_)) => exchanges.abort_body(),
                    None => slot.decline_eviction(),
                },
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }
}

/// The app's response. A panic costs its own request only; what the request did before it is not known.
async fn respond(
    app: Router,
    request: Request<Incoming>,
    exchange: Exchange,
) -> Result<Response, Infallible> {
    let response = pin!(app.oneshot(request.map(Body::new)));
    let response = match contain(response).await {
        Ok(Ok(response)) => response,
        Err(_) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the request could not be answered",
        )
        .detail("this is a fault of the hub; its log says more")
        .accepted(Acceptance::Unknown)
        .into_response(),
    };
    Ok(response.map(|body| Body::new(exchange.end_with(body))))
}
