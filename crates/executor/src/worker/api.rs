//! The Runtime API of one instance, on a port of its own: AWS Lambda's ([`aws`]), SCF's ([`scf`]), and the credentials
//! of the function's role ([`credentials`]).

mod aws;
mod body;
mod credentials;
mod endpoint;
mod reply;
mod scf;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::event_slot::EventSlot;

pub(super) use self::credentials::PATH as CREDENTIALS_PATH;
pub(super) use self::endpoint::Endpoint;

/// Connections at the same time. Clients use one or two.
const MAX_CONNECTIONS: usize = 16;

/// Bytes of one request's head. The Python client puts a cause of up to 1 MiB into a header.
const MAX_HEAD_BYTES: usize = 2 << 20;

/// What all requests of an instance share.
pub(super) struct Api {
    pub(super) event_slot: Arc<EventSlot>,
    pub(super) endpoint: Endpoint,
}

type Reply = Response<Full<Bytes>>;

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, api: Arc<Api>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, api.clone()));
                }
                // No descriptors left, or the client is gone already: a moment later it may be better.
                Err(error) => {
                    tracing::debug!(%error, "a connection to a Runtime API could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, api: Arc<Api>) {
    // An answer is small and waited for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.handle(request).await) }
    });
    let served = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection to a Runtime API ended early");
    }
}

// === impl Api ===

impl Api {
    async fn handle(&self, request: Request<Incoming>) -> Reply {
        let (head, mut body) = request.into_parts();
        let reply = self.reply(&head, &mut body).await;
        // Whoever still writes would see a closed connection in place of the reply.
        body::drain(&mut body).await;
        reply
    }

    async fn reply(&self, head: &Parts, body: &mut Incoming) -> Reply {
        if !self.is_for_us(head) {
            return reply::refused(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "this is a Runtime API, for its own instance alone",
            );
        }
        let path = head.uri.path();
        if let Some(call) = path.strip_prefix("/2018-06-01/runtime/") {
            aws::reply(self, call, head, body).await
        } else if let Some(call) = path.strip_prefix("/runtime/") {
            scf::reply(self, call, head, body).await
        } else if path == CREDENTIALS_PATH {
            credentials::reply(self, head)
        } else {
            reply::unknown_path()
        }
    }

    /// A web page that a browser on this machine shows can send requests here, but not without these two traces.
    fn is_for_us(&self, head: &Parts) -> bool {
        let host = head.headers.get(HOST).map(|host| host.as_bytes());
        let known = |host: &[u8]| self.endpoint.has_name(host);
        host.is_some_and(known) && !head.headers.contains_key(ORIGIN)
    }
}
