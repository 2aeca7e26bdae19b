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
use crate::bodies::{Bodies, Ration};
use crate::last_word;
use crate::pace::{self, Paced};
use crate::places::Seat;
use crate::problem::{Acceptance, Problem};
use crate::turns::{Turn, Waits};

/// Requests with more headers than this are answered with 431.
const MAX_HEADERS: usize = 100;

/// The smallest buffer hyper agrees to work with, in bytes.
const MIN_BUFFER_BYTES: usize = 8192;

/// The listener that a request came to.
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
    /// Serves a connection to its end; asked to shut down, it ends after the request in flight. It also ends when its
    /// place is needed and its peer keeps it waiting.
    pub(crate) async fn serve(&self, stream: TcpStream, peer: SocketAddr, seat: &Seat) {
        // Answers are small and written whole: waiting to fill a packet only costs time.
        let _ = stream.set_nodelay(true);
        let head_by = Instant::now() + self.limits.header_timeout;
        match &self.tls {
            None => self.serve_http(stream, peer, head_by, seat).await,
            Some(tls) => {
                let handshake = timeout_at(head_by, tls.accept(stream));
                let shaken = tokio::select! {
                    shaken = handshake => shaken,
                    () = self.shutdown.cancelled() => return,
                    () = seat.asked_to_leave() => return,
                };
                match shaken {
                    Ok(Ok(stream)) => self.serve_http(stream, peer, head_by, seat).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "TLS handshake not finished"),
                }
            }
        }
    }

    /// Refuses a connection that has no place, in one write that cannot wait.
    pub(crate) fn turn_away(&self, stream: TcpStream) {
        if self.tls.is_none()
            && let Ok(mut stream) = stream.into_std()
        {
            // The peer may be gone, or not read: that is its own affair.
            let _ = stream.write_all(&last_word::to_one_too_many());
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    async fn serve_http<IO>(&self, stream: IO, peer: SocketAddr, head_by: Instant, seat: &Seat)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let turns = &seat.turns;
        let pace = pace::Limits {
            header: self.limits.header_timeout,
            idle: self.limits.idle_timeout,
        };
        let io = TokioIo::new(Paced::new(stream, pace, turns.clone(), head_by));
        let ration = Ration {
            bodies: Arc::clone(&self.bodies),
            turns: turns.clone(),
        };
        let service = service_fn(|mut request: Request<Incoming>| {
            let turn = turns.begin();
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(ration.clone());
            request.extensions_mut().insert(ListenerName(self.name));
            answer(self.app.clone(), request, turn)
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
        let ended = loop {
            tokio::select! {
                ended = &mut connection => break ended,
                () = self.shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    break connection.await;
                }
                () = seat.asked_to_leave() => match turns.waits() {
                    Some(Waits::ForHead(_)) => {
                        tracing::debug!(%peer, "connection gave its place to a newcomer");
                        return;
                    }
                    Some(Waits::ForBody(_)) => turns.give_up(),
                    None => seat.stays(),
                },
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }
}

/// The app's answer. A panic costs its own request only; what the request did before it is not known.
async fn answer(
    app: Router,
    request: Request<Incoming>,
    turn: Turn,
) -> Result<Response, Infallible> {
    let answered = pin!(app.oneshot(request.map(Body::new)));
    let response = match contain(answered).await {
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
    Ok(response.map(|body| Body::new(turn.over(body))))
}
