//! The least possible Runtime API: events from a queue in memory, answers counted, nothing kept.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::Outcome;

/// Events that wait, at most.
const QUEUE: usize = 1024;

/// A bare loop with its instances.
pub(crate) struct Bare {
    pub(crate) address: std::net::SocketAddr,
    answered: Arc<AtomicU64>,
    instances: Vec<Child>,
    _serving: JoinSet<()>,
}

struct Shared {
    events: Mutex<mpsc::Receiver<Bytes>>,
    offered: mpsc::Sender<Bytes>,
    served: AtomicU64,
    answered: Arc<AtomicU64>,
}

// === impl Bare ===

impl Bare {
    /// Starts the loop and `count` instances of this binary; `ledger` as for [`crate::function`].
    pub(crate) async fn start(count: usize, ledger: Option<&Path>) -> Outcome<Self> {
        let (events, receiver) = mpsc::channel(QUEUE);
        let answered = Arc::new(AtomicU64::new(0));
        let shared = Arc::new(Shared {
            events: Mutex::new(receiver),
            offered: events,
            served: AtomicU64::new(0),
            answered: answered.clone(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
            .route("/event", post(offer))
            .with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            // It ends with the benchmark.
            let _ = axum::serve(listener, router).await;
        });
        let own = std::env::current_exe()?;
        let start = |_| {
            let mut command = Command::new(&own);
            command
                .arg("instance")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
            if let Some(ledger) = ledger {
                command.arg("--ledger").arg(ledger);
            }
            command.spawn()
        };
        let instances = (0..count).map(start).collect::<Result<_, _>>()?;
        Ok(Self {
            address,
            answered,
            instances,
            _serving: serving,
        })
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for instance in &mut self.instances {
            let _ = instance.kill();
            let _ = instance.wait();
        }
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> (HeaderMap, Bytes) {
    let event = shared.events.lock().await.recv().await.unwrap_or_default();
    let id = shared.served.fetch_add(1, Ordering::Relaxed);
    let mut headers = HeaderMap::new();
    headers.insert("lambda-runtime-aws-request-id", HeaderValue::from(id));
    headers.insert(
        "lambda-runtime-deadline-ms",
        HeaderValue::from_static("9999999999999"),
    );
    (headers, event)
}

async fn answer(State(shared): State<Arc<Shared>>, _result: Bytes) -> (StatusCode, &'static str) {
    shared.answered.fetch_add(1, Ordering::Relaxed);
    (StatusCode::ACCEPTED, "{\"status\":\"OK\"}")
}

async fn offer(State(shared): State<Arc<Shared>>, event: Bytes) -> StatusCode {
    match shared.offered.send(event).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
