//! The trigger behind a real listener: what callers get, and what hostile ones do not.

mod contract;
mod hostile;
mod sync;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tripline_config::Document;
use tripline_listener::{Listener, ListenerLimits};
use tripline_model::{End, Ending, Function, Offer, Timestamp};
use tripline_trigger::TriggerState;
use tripline_trigger::testkit::{Run, TestContext, test_function};

use super::*;

const STOP: Duration = Duration::from_secs(5);

fn trigger(text: &str) -> Arc<HttpTrigger> {
    let read = Document::new("f", text).read(crate::config::Config::read);
    Arc::new(HttpTrigger::new(read.expect("a table of the test")))
}

/// A trigger that runs behind a listener.
struct Site {
    around: TestContext,
    run: Option<Run>,
    addr: SocketAddr,
    client: Client,
    _server: JoinSet<()>,
}

impl Site {
    async fn new(table: &str) -> Self {
        Self::with_function(table, test_function("work")).await
    }

    async fn with_function(table: &str, function: Function) -> Self {
        let token = SecretRef::Env("TOKEN".to_owned());
        let around = TestContext::new("hook")
            .with_function(function)
            .with_secret(token, "s3cret");
        let run = around.run(trigger(table));
        run.wait_state(TriggerState::Running).await;
        let (addr, server) = serve(&around).await;
        Self {
            around,
            run: Some(run),
            addr,
            client: client(),
            _server: server,
        }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("http://{}{path}", self.addr))
    }

    /// The one event that was accepted.
    fn only(&self) -> Offer {
        let mut accepted = self.around.dispatch().accepted();
        assert_eq!(accepted.len(), 1, "one event was accepted");
        accepted.remove(0).1
    }

    fn nothing_offered(&self) {
        assert!(self.around.dispatch().offered().is_empty());
    }
}

async fn serve(around: &TestContext) -> (SocketAddr, JoinSet<()>) {
    let limits = ListenerLimits {
        header_timeout: Duration::from_millis(300),
        ..ListenerLimits::default()
    };
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind("gateway", addr, limits, None).await;
    let listener = listener.expect("a port is free");
    let addr = listener.local_addr();
    let app = around.gateway().router();
    let mut server = JoinSet::new();
    server.spawn(listener.serve(app, CancellationToken::new(), Duration::ZERO));
    (addr, server)
}

fn client() -> Client {
    // reqwest wants a provider even where no TLS is spoken; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().expect("a client")
}

async fn json(response: reqwest::Response) -> Value {
    let text = response.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

const OPEN: &str = "route = 'POST /orders/{id}'\nauth = 'none'";

#[tokio::test]
async fn an_async_function_answers_with_the_receipt() {
    let site = Site::new(OPEN).await;
    let request = site.post("/orders/a%20b?x=1&y=%2F");
    let request = request.header("content-type", "image/x").body(vec![0, 255]);
    let request = request
        .header("authorization", "Bearer mine")
        .header("cookie", "c=1");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 202);
    let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    let id = header("tripline-request-id");
    // The status is read at the admin API, which this listener does not serve.
    assert!(!response.headers().contains_key("location"));
    assert_eq!(header("content-type"), "application/json");
    assert!(!response.headers().contains_key("idempotency-replayed"));
    assert_eq!(
        json(response).await,
        serde_json::json!({ "request_id": id })
    );

    let event = site.only().event;
    assert_eq!(event.kind, "tripline.http.request.v1");
    assert_eq!(event.source, "/triggers/hook");
    assert_eq!(event.subject.as_deref(), Some("/orders/a%20b"));
    assert_eq!(event.content_type.as_deref(), Some("image/x"));
    assert_eq!(event.data.as_deref(), Some([0, 255].as_slice()));
    let extensions: Vec<_> = event.extensions.iter().collect();
    let shown = format!("{extensions:?}");
    assert_eq!(event.extensions["httpmethod"], "POST");
    assert_eq!(event.extensions["httppath"], "/orders/a%20b");
    assert_eq!(event.extensions["httpquery"], "x=1&y=%2F");
    assert_eq!(event.extensions["httpparams"], r#"{"id":"a b"}"#);
    assert!(!shown.contains("mine") && !shown.contains("c=1"), "{shown}");
}

#[tokio::test]
async fn every_request_without_a_key_is_its_own() {
    let site = Site::new(OPEN).await;
    for _ in 0..2 {
        let response = site.post("/orders/1").body("same").send().await;
        assert_eq!(response.expect("an answer").status(), 202);
    }
    let accepted = site.around.dispatch().accepted();
    assert_eq!(accepted.len(), 2);
    assert_ne!(accepted[0].1.event.id, accepted[1].1.event.id);
    assert_eq!(accepted[0].1.identity, Identity::Unique);
}

#[tokio::test]
async fn a_key_gives_the_same_receipt_again_and_refuses_another_request() {
    let site = Site::new(OPEN).await;
    let send = async |key: &str, body: &'static str| {
        let request = site.post("/orders/1").header("idempotency-key", key);
        request.body(body).send().await.expect("an answer")
    };
    let first = send("k-1", "a").await;
    let again = send("\"k-1\"", "a").await;
    assert_eq!(
        (first.status(), again.status()),
        (202.try_into().expect("one"), first.status())
    );
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(json(first).await, json(again).await);
    let other = send("k-1", "b").await;
    assert_eq!(other.status(), 422);
    assert_eq!(json(other).await["accepted"], "no");
    let offer = site.only();
    assert_eq!(offer.event.id, "k-1");
    let Identity::Key { key, window, .. } = offer.identity else {
        panic!("a key is an identity");
    };
    assert_eq!(key, "POST /orders/{id} k-1");
    assert_eq!(window, Duration::from_secs(86_400));
}

#[tokio::test]
async fn only_the_token_opens_and_a_refusal_reads_no_body() {
    let table = "route = 'POST /a'\nauth = { bearer = { env = 'TOKEN' } }";
    assert_eq!(
        trigger(table).secrets(),
        [SecretRef::Env("TOKEN".to_owned())]
    );
    let site = Site::new(table).await;
    for header in [
        None,
        Some("Bearer wrong"),
        Some("Basic s3cret"),
        Some("Bearer "),
    ] {
        let mut request = site.post("/a").body(vec![0; 4 << 20]);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 401, "{header:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(json(response).await["accepted"], "no");
    }
    site.nothing_offered();
    let response = site.post("/a").bearer_auth("s3cret").send().await;
    assert_eq!(response.expect("an answer").status(), 202);
}

#[tokio::test]
async fn a_sender_cannot_say_how_its_request_came() {
    let site = Site::new("route = 'POST /orders'\nauth = 'none'").await;
    let mut binary = site.post("/orders").body("x");
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", "8"),
        ("source", "/s"),
        ("type", "t"),
    ] {
        binary = binary.header(format!("ce-{name}"), value);
    }
    for name in ["httpmethod", "httppath", "httpquery", "httpparams"] {
        binary = binary.header(format!("ce-{name}"), "forged");
    }
    let binary = binary.header("ce-mine", "kept");
    assert_eq!(binary.send().await.expect("an answer").status(), 202);
    let extensions = site.only().event.extensions;
    let extensions: Vec<_> = extensions
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("httpmethod", "POST"),
        ("httppath", "/orders"),
        ("mine", "kept"),
    ];
    assert_eq!(extensions, expected);
}

#[tokio::test]
async fn cloudevents_keep_what_they_say() {
    let site = Site::new(OPEN).await;
    let body = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","data":{"a":1}}"#;
    let request = site.post("/orders/1").body(body);
    let request = request.header("content-type", "application/cloudevents+json");
    assert_eq!(request.send().await.expect("an answer").status(), 202);
    let event = site.only().event;
    assert_eq!((event.id.as_str(), event.kind.as_str()), ("7", "t"));
    assert_eq!(event.data.as_deref(), Some(br#"{"a":1}"#.as_slice()));
    assert_eq!(event.extensions["httpparams"], r#"{"id":"1"}"#);

    let binary = site
        .post("/orders/1")
        .body("x")
        .header("ce-specversion", "1.0");
    let binary = binary
        .header("ce-id", "8")
        .header("ce-source", "/s")
        .header("ce-type", "t");
    assert_eq!(binary.send().await.expect("an answer").status(), 202);
    let broken = site
        .post("/orders/1")
        .header("ce-id", "9")
        .send()
        .await
        .expect("an answer");
    assert_eq!(broken.status(), 400);
    let problem = json(broken).await;
    assert_eq!(problem["type"], "urn:tripline:invalid_cloudevent");
    assert_eq!(problem["detail"], "`specversion` is missing");
    let batch = site.post("/orders/1").body("[]");
    let batch = batch.header("content-type", "application/cloudevents-batch+json");
    let batch = batch.send().await.expect("an answer");
    assert_eq!(batch.status(), 415);
    assert!(
        json(batch).await["detail"]
            .to_string()
            .contains("batches are not taken")
    );
    assert_eq!(site.around.dispatch().offered().len(), 2);
}

#[tokio::test]
async fn refusals_say_that_nothing_was_accepted() {
    let site = Site::new(OPEN).await;
    let limit = Rejected::OverLimit {
        retry_after: Duration::from_millis(1500),
        scope: "the hub".to_owned(),
        limit: 1000,
    };
    for (rejected, status, accepted, retry_after) in [
        (limit, 429, "no", Some("2")),
        (Rejected::Draining, 503, "no", Some("1")),
        (Rejected::StorageFull, 503, "no", None),
        (Rejected::Unknown, 503, "unknown", None),
    ] {
        site.around.dispatch().reject_next(rejected.clone());
        let response = site.post("/orders/1").send().await.expect("an answer");
        assert_eq!(response.status(), status, "{rejected:?}");
        if let Some(seconds) = retry_after {
            assert_eq!(response.headers()["retry-after"], seconds);
        }
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(json(response).await["accepted"], accepted);
    }
}

#[tokio::test]
async fn the_route_is_served_while_the_trigger_runs() {
    let mut site = Site::new(OPEN).await;
    let get = site.client.get(format!("http://{}/orders/1", site.addr));
    let response = get.send().await.expect("an answer");
    assert_eq!(response.status(), 405);
    let second = site.around.run(trigger(OPEN));
    let error = second.ended().await.expect_err("the route is taken");
    assert_eq!(error.to_string(), "`POST /orders/{id}` cannot be mounted");
    let run = site.run.take().expect("it runs");
    run.stop(STOP).await.expect("ends well");
    let response = site.post("/orders/1").send().await.expect("an answer");
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(json(response).await["accepted"], "no");
    site.nothing_offered();
}
