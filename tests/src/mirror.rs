//! A server that refuses everything, and repeats in its refusal all that it was sent: what a client prints of such an
//! answer shows what it keeps to itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// See the module.
pub struct Mirror {
    /// Its URL.
    pub url: String,
    asked: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

// === impl Mirror ===

impl Mirror {
    /// Starts one.
    pub async fn start() -> Self {
        let asked = Arc::<AtomicUsize>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let app = Router::new()
            .fallback(refuse)
            .with_state(Arc::clone(&asked));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self {
            url: format!("http://{address}"),
            asked,
            _server: server,
        }
    }

    /// How many requests it refused.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// In the words of S3 and of STS.
async fn refuse(State(asked): State<Arc<AtomicUsize>>, request: Request) -> Response {
    asked.fetch_add(1, Ordering::Relaxed);
    // The Authorization header first.
    let mut headers: Vec<_> = request.headers().iter().collect();
    headers.sort_by_key(|(name, _)| *name != header::AUTHORIZATION);
    let repeat = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}={} ", String::from_utf8_lossy(value.as_bytes()))
    };
    let headers: String = headers.into_iter().map(repeat).collect();
    let text = format!("no,\u{202e} you\u{9b}31m who sent {headers}");
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let xml = format!("<Error><Code>InvalidAccessKeyId</Code><Message>{text}</Message></Error>");
    let is_sts = request.method() == "POST";
    let body = if is_sts {
        format!("<ErrorResponse>{xml}</ErrorResponse>")
    } else {
        xml
    };
    let kind = [(header::CONTENT_TYPE, "application/xml")];
    (StatusCode::FORBIDDEN, kind, body).into_response()
}
