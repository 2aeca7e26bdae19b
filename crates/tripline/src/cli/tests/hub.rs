//! A hub that answers from a script and keeps what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tripline_model::lock;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// `METHOD /path?query`.
    pub(super) line: String,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Answers by `METHOD /path`; several answers for one are given in turn, the last one for ever.
#[derive(Default)]
struct Script {
    answers: HashMap<String, Vec<(u16, Vec<u8>)>>,
    asked: Vec<Asked>,
    /// Something else answers, which knows of no RequestId.
    is_stranger: bool,
    /// Results are marked as cut.
    is_cut: bool,
    /// How long each answer takes.
    hesitation: Duration,
}

/// The hub. Dropping it ends it.
pub(super) struct FakeHub {
    pub(super) url: String,
    script: Arc<Mutex<Script>>,
    _server: JoinSet<()>,
}

// === impl FakeHub ===

impl FakeHub {
    pub(super) async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let app = Router::new()
            .fallback(reply)
            .with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Self {
            url,
            script,
            _server: server,
        }
    }

    /// An address where nobody listens.
    pub(super) async fn gone() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        Self {
            url,
            script: Arc::default(),
            _server: JoinSet::new(),
        }
    }

    /// Takes one request, begins to answer it with `answer`, and is gone.
    pub(super) async fn that_goes_away(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        });
        Self {
            url,
            script: Arc::default(),
            _server: server,
        }
    }

    /// From now on results are cut.
    pub(super) fn cuts(&self) {
        lock(&self.script).is_cut = true;
    }

    /// From now on it is another web server.
    pub(super) fn is_a_stranger(&self) {
        lock(&self.script).is_stranger = true;
    }

    /// From now on each answer takes so long.
    pub(super) fn hesitates(&self, span: Duration) {
        lock(&self.script).hesitation = span;
    }

    pub(super) fn answer(&self, to: &str, status: u16, body: impl AsRef<[u8]>) {
        let answer = (status, body.as_ref().to_vec());
        let mut script = lock(&self.script);
        script
            .answers
            .entry(to.to_owned())
            .or_default()
            .push(answer);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        lock(&self.script).asked.clone()
    }
}

async fn reply(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20)
        .await
        .expect("a small body");
    let line = format!("{} {}", parts.method, parts.uri);
    let hesitation = lock(&script).hesitation;
    tokio::time::sleep(hesitation).await;
    let key = format!("{} {}", parts.method, parts.uri.path());
    let mut script = lock(&script);
    script.asked.push(Asked {
        line,
        headers: parts.headers,
        body: body.to_vec(),
    });
    let (status, body) = match script.answers.get_mut(&key) {
        None => (404, br#"{"title":"not in the script"}"#.to_vec()),
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0].clone(),
    };
    let mut response = Response::builder().status(status);
    if !script.is_stranger {
        response = response.header("tripline-request-id", "the-id");
    }
    if script.is_cut {
        response = response.header("tripline-result-cut", "true");
    }
    response.body(Body::from(body)).expect("a response")
}
