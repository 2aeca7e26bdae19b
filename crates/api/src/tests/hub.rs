//! A whole hub for one test.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tripline_config::{Secret, SecretError, SecretRef, Secrets};
use tripline_dispatcher::{Dispatcher, DispatcherConfig, DispatcherParts};
use tripline_journal::{Journal, LogStore, MemoryJournal, MemoryLogStore};
use tripline_listener::{Bearer, Gateway};
use tripline_model::{Execution, Function, FunctionName, ManualClock, Timestamp, TriggerName};
use tripline_trigger::{Ports, Supervised, Supervisor, Trigger, TriggerContext, TriggerError};

use super::runtime::FakeRuntime;
use crate::{AllowedHosts, ApiState, router};

pub(super) const TOKEN: &str = "s3cret";
/// How long a test waits for anything.
pub(super) const TEST_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct TestHub {
    pub(super) app: Router,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) closing: CancellationToken,
    pub(super) dispatcher: Dispatcher,
    _supervisor: Supervisor,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Takes no events in, and runs until its shutdown.
struct IdleTrigger;

struct NoSecrets;

// === impl TestHub ===

impl TestHub {
    /// A hub with the functions `work` (async) and `answer` (sync), and the trigger `door`.
    pub(super) async fn start() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_795_521_600_000)));
        let journal = Arc::new(MemoryJournal::new(clock.clone()));
        let logs: Arc<dyn LogStore> = Arc::new(MemoryLogStore::new());
        let counter = AtomicU64::new(1);
        let dispatcher = Dispatcher::start(DispatcherParts {
            config: DispatcherConfig {
                max_event_bytes: 4096,
                ..DispatcherConfig::for_tests()
            },
            functions: vec![
                function("work", Execution::Async),
                function("answer", Execution::Sync),
            ],
            journal: journal.clone(),
            logs: logs.clone(),
            runtimes: vec![Arc::new(FakeRuntime::default())],
            clock: clock.clone(),
            entropy: Box::new(move || {
                let mut bytes = [0; 10];
                let number = counter.fetch_add(1, Ordering::Relaxed);
                bytes[2..].copy_from_slice(&number.to_be_bytes());
                bytes
            }),
        })
        .await
        .expect("a dispatcher in memory");
        let dispatch = Arc::new(dispatcher.handle());
        let ports = Ports {
            dispatch: dispatch.clone(),
            cursors: journal.clone().cursors(),
            clock: clock.clone(),
            gateway: Gateway::new(),
            secrets: Arc::new(NoSecrets),
            hub_id: "hub".into(),
        };
        let door = Supervised {
            name: TriggerName::new("door").expect("a name"),
            kind: "idle".to_owned(),
            function: function("work", Execution::Async),
            enabled: true,
            trigger: Box::new(IdleTrigger),
        };
        let supervisor = Supervisor::start(vec![door], &ports);
        let closing = CancellationToken::new();
        let listen = "127.0.0.1:8081".parse().expect("an address");
        let app = router(ApiState {
            control: dispatch.clone(),
            dispatch,
            journal: journal.clone(),
            logs,
            unmet: HashMap::new(),
            triggers: supervisor.triggers(),
            clock,
            token: Bearer::new(TOKEN),
            hosts: AllowedHosts::new(listen, &[]),
            max_event_bytes: 1024,
            metrics: Arc::new(|| "tripline_queued 0\n".to_owned()),
            not_ready: Arc::new(Vec::new),
            max_followers: 2,
            closing: closing.clone(),
        });
        Self {
            app,
            journal,
            closing,
            dispatcher,
            _supervisor: supervisor,
        }
    }

    /// A request with the token, without a body.
    pub(super) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(request(method, path, ""), true).await
    }

    /// A call of `function` with `data`.
    pub(super) async fn call(&self, function: &str, data: &'static str) -> Answer {
        self.send(
            request(
                "POST",
                &format!("/v1/functions/{function}/invocations"),
                data,
            ),
            true,
        )
        .await
    }

    /// An accepted call; its id.
    pub(super) async fn accepted(&self, data: &'static str) -> String {
        let answer = self.call("work", data).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.json()["request_id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// The invocation once `state` is its state.
    pub(super) async fn in_state(&self, id: &str, state: &str) -> Value {
        let wait = async {
            loop {
                let shown = self
                    .ask("GET", &format!("/v1/invocations/{id}"))
                    .await
                    .json();
                if shown["state"] == state {
                    return shown;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, wait)
            .await
            .expect("the state in time")
    }

    pub(super) async fn send(&self, mut request: Request<Body>, with_token: bool) -> Answer {
        if with_token {
            let value = format!("Bearer {TOKEN}").parse().expect("a header");
            request.headers_mut().insert("authorization", value);
        }
        let sent = self.app.clone().oneshot(request);
        let answer = async {
            let response = sent.await.expect("the router never fails");
            let (parts, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .expect("a whole body")
                .to_bytes()
                .to_vec();
            Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, answer)
            .await
            .expect("an answer in time")
    }
}

// === impl Answer ===

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts a problem document of this status and kind, and gives it.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:tripline:{kind}"));
        assert_eq!(problem["status"], status);
        problem
    }
}

impl Trigger for IdleTrigger {
    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        cx.ready();
        cx.fact("lag", 7_u64);
        cx.shutdown().cancelled().await;
        Ok(())
    }
}

impl Secrets for NoSecrets {
    fn resolve(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        unreachable!("no trigger here has secrets")
    }
}

pub(super) fn request(method: &str, path: &str, body: &'static str) -> Request<Body> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8081");
    builder.body(Body::from(body)).expect("a request")
}

fn function(name: &str, execution: Execution) -> Function {
    Function {
        name: FunctionName::new(name).expect("a name"),
        execution,
        runtime: "fake",
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(5),
        concurrency: NonZeroU32::new(4).expect("not zero"),
        qps: None,
        max_queued: 100,
        max_event_age: Duration::from_secs(3600),
        max_result_bytes: 1 << 20,
        max_log_bytes: 1 << 20,
    }
}
