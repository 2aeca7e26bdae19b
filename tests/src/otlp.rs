//! A collector of traces for one test: takes what a hub sends by OTLP over HTTP, and decodes it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::eventually;

/// A span as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// Its name.
    pub name: String,
    /// The trace, in hex.
    pub trace: String,
    /// The span, in hex.
    pub id: String,
    /// The span above it, in hex; empty for none.
    pub parent: String,
    /// From when to when, nanoseconds since 1970.
    pub times: (u64, u64),
    /// 0 for none, 1 for well, 2 for an error.
    pub status: i32,
    /// Names and values.
    pub attributes: Vec<(String, String)>,
}

/// See the module.
pub struct Collector {
    /// For `endpoint` in `[traces]`.
    pub endpoint: String,
    seen: Arc<Mutex<Seen>>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    spans: Vec<Traced>,
    headers: Vec<HeaderMap>,
}

// === impl Collector ===

impl Collector {
    /// Starts one that takes everything.
    pub async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&seen));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self {
            endpoint: format!("http://{address}/v1/traces"),
            seen,
            _server: server,
        }
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Traced> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.spans.clone()
    }

    /// The headers of each request so far.
    pub fn headers(&self) -> Vec<HeaderMap> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.headers.clone()
    }

    /// Waits until there are so many spans of the invocation, and gives them: its own, and those below it.
    pub async fn of(&self, request_id: &str, count: usize) -> Vec<Traced> {
        eventually(&format!("{count} spans of {request_id}"), async || {
            let spans = self.spans();
            let is_ours = |span: &&Traced| span.attribute("faas.invocation_id") == Some(request_id);
            let whole = spans.iter().find(is_ours)?.clone();
            let below = spans.iter().filter(|span| span.parent == whole.id).cloned();
            let all: Vec<_> = std::iter::once(whole.clone()).chain(below).collect();
            (all.len() >= count).then_some(all)
        })
        .await
    }
}

// === impl Traced ===

impl Traced {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn of(span: Span) -> Self {
        let attributes =
            span.attributes
                .into_iter()
                .map(|one| match one.value.and_then(|value| value.value) {
                    Some(Value::StringValue(text)) => (one.key, text),
                    other => panic!("{} is no text: {other:?}", one.key),
                });
        Self {
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            times: (span.start_time_unix_nano, span.end_time_unix_nano),
            status: span.status.map_or(0, |status| status.code),
            attributes: attributes.collect(),
        }
    }
}

async fn take(State(seen): State<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|all| all.scope_spans);
    let spans = scopes.flat_map(|scope| scope.spans).map(Traced::of);
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.spans.extend(spans);
    seen.headers.push(headers);
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
