//! The Runtime APIs, asked over a plain socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{TEST_TIMEOUT, credentials, spec};
use crate::worker::api::{Api, Endpoint, serve};
use crate::worker::event_slot::{Answer, Dialect, Event, EventSlot, SlotState};

pub(super) struct Served {
    pub(super) event_slot: Arc<EventSlot>,
    pub(super) port: u16,
    pub(super) token: String,
    api: Arc<Api>,
    _tasks: JoinSet<()>,
}

pub(super) struct HttpResponse {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

// === impl Served ===

impl Served {
    pub(super) async fn start() -> Self {
        let spec = spec(&["true"], "/srv/code".into());
        let (listener, endpoint) = Endpoint::bind(&spec, "instance-1").await.unwrap();
        let event_slot = Arc::new(EventSlot::new(Some(credentials("first"))));
        let (port, token) = (
            endpoint.port,
            endpoint.credentials_token.hand_out().to_owned(),
        );
        let api = Arc::new(Api {
            event_slot: event_slot.clone(),
            endpoint,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, api.clone(), CancellationToken::new()));
        Self {
            event_slot,
            port,
            token,
            api,
            _tasks: tasks,
        }
    }

    /// Whether every connection is over: nobody but the server and this holds what they share.
    pub(super) fn is_quiet(&self) -> bool {
        Arc::strong_count(&self.api) == 2
    }

    /// The answer to bytes on a new connection; `HOST` in them becomes this endpoint's name.
    pub(super) async fn raw(&self, request: &str) -> HttpResponse {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = request.replace("HOST", &format!("127.0.0.1:{}", self.port));
        stream.write_all(request.as_bytes()).await.unwrap();
        let reading = HttpResponse::read(&mut stream);
        tokio::time::timeout(TEST_TIMEOUT, reading).await.unwrap()
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> HttpResponse {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: HOST\r\nContent-Length: {length}\r\n\r\n");
        self.raw(&(request + body)).await
    }

    /// Offers an event and takes it.
    pub(super) async fn give(&self, id: &str, max_answer_bytes: usize) {
        self.event_slot.offer(Arc::new(Event {
            id: id.to_owned(),
            data: Bytes::from_static(br#"{"n":1}"#),
            deadline_ms: 1_795_555_088_243,
            deadline: Instant::now() + Duration::from_secs(3),
            max_answer_bytes,
            traceparent: None,
        }));
        self.event_slot.take(Dialect::Aws).await.unwrap();
    }

    pub(super) fn answer(&self) -> Answer {
        self.event_slot.clear().expect("there is an answer")
    }
}

// === impl HttpResponse ===

impl HttpResponse {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let count = stream.read_buf(&mut bytes).await.unwrap();
            assert_ne!(count, 0, "closed after {bytes:?}");
        };
        let body = bytes.split_off(head);
        let mut response = Self {
            head: String::from_utf8(bytes).unwrap(),
            status: 0,
            body,
        };
        response.status = response.head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = response.header("content-length").unwrap().parse().unwrap();
        while response.body.len() < length {
            let count = stream.read_buf(&mut response.body).await.unwrap();
            assert_ne!(count, 0, "the body is cut");
        }
        response
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            (key == name).then_some(value)
        })
    }
}

const RUNTIME: &str = "/2018-06-01/runtime";

#[tokio::test]
async fn both_apis_tell_where_the_run_stands_in_its_trace() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for path in [
        "/2018-06-01/runtime/invocation/next",
        "/runtime/invocation/next",
    ] {
        let served = Served::start().await;
        let asking = served.ask("GET", path, "");
        let offering = async {
            while served.event_slot.state() != SlotState::Free {
                served.event_slot.changed().await;
            }
            served.event_slot.offer(Arc::new(Event {
                id: "019abcde-0000-7000-8000-0123456789ab".to_owned(),
                data: Bytes::from_static(b"[1]"),
                deadline_ms: 1_795_555_088_243,
                deadline: Instant::now(),
                max_answer_bytes: 9,
                traceparent: Some(PARENT.to_owned()),
            }));
        };
        let (response, ()) = tokio::join!(asking, offering);
        assert_eq!(response.header("traceparent"), Some(PARENT), "{path}");
        let xray = response.header("lambda-runtime-trace-id");
        let expected = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
        assert!(xray.is_none_or(|text| text == expected), "{xray:?}");
        assert_eq!(xray.is_some(), path.starts_with("/2018"));
    }
}

#[tokio::test]
async fn the_next_event_comes_with_the_headers_that_aws_clients_need() {
    let served = Served::start().await;
    let path = format!("{RUNTIME}/invocation/next");
    let asking = served.ask("GET", &path, "");
    let offering = async {
        while served.event_slot.state() != SlotState::Free {
            served.event_slot.changed().await;
        }
        served.event_slot.offer(Arc::new(Event {
            id: "019abcde-0000-7000-8000-0123456789ab".to_owned(),
            data: Bytes::from_static(b"[1]"),
            deadline_ms: 1_795_555_088_243,
            deadline: Instant::now(),
            max_answer_bytes: 9,
            traceparent: None,
        }));
    };
    let (response, ()) = tokio::join!(asking, offering);
    assert_eq!(
        (response.status, response.body.as_slice()),
        (200, &b"[1]"[..])
    );
    for (name, value) in [
        ("content-type", "application/json"),
        (
            "lambda-runtime-aws-request-id",
            "019abcde-0000-7000-8000-0123456789ab",
        ),
        ("lambda-runtime-deadline-ms", "1795555088243"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:local:000000000000:function:resize",
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-019abcde-0000700080000123456789ab;Sampled=0",
        ),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    let again = served.ask("GET", &path, "").await;
    assert_eq!(again.status, 403, "an event is never run twice");
}

#[tokio::test]
async fn answers_to_other_events_and_second_answers_are_refused() {
    let served = Served::start().await;
    let response = format!("{RUNTIME}/invocation/a/response");
    assert_eq!(served.ask("POST", &response, "1").await.status, 400);
    served.give("a", 10).await;
    let other = format!("{RUNTIME}/invocation/b/response");
    assert_eq!(served.ask("POST", &other, "1").await.status, 400);
    let first = served.ask("POST", &response, "one").await;
    assert_eq!(
        (first.status, first.body.as_slice()),
        (202, &br#"{"status":"OK"}"#[..])
    );
    assert_eq!(served.ask("POST", &response, "two").await.status, 400);
    let error = format!("{RUNTIME}/invocation/a/error");
    assert_eq!(served.ask("POST", &error, "{}").await.status, 400);
    assert_eq!(
        served.answer(),
        Answer::Response(Bytes::from_static(b"one"))
    );
}

#[tokio::test]
async fn a_response_over_its_bound_is_refused_and_not_kept() {
    let served = Served::start().await;
    let path = format!("{RUNTIME}/invocation/a/response");
    served.give("a", 4).await;
    assert_eq!(served.ask("POST", &path, "12345").await.status, 413);
    assert_eq!(served.answer(), Answer::TooLarge);
    // A body without an announced length, too.
    served.give("a", 4).await;
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n2\r\n45\r\n0\r\n\r\n"
    );
    assert_eq!(served.raw(&chunked).await.status, 413);
    assert_eq!(served.answer(), Answer::TooLarge);
    served.give("a", 4).await;
    assert_eq!(served.ask("POST", &path, "1234").await.status, 202);
}

#[tokio::test]
async fn streamed_responses_may_fail_at_their_end() {
    let served = Served::start().await;
    let path = format!("{RUNTIME}/invocation/a/response");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\
         Lambda-Runtime-Function-Response-Mode: streaming\r\n\
         Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n"
    );
    served.give("a", 100).await;
    let whole = format!("{head}3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(served.raw(&whole).await.status, 202);
    assert_eq!(
        served.answer(),
        Answer::Response(Bytes::from_static(b"onetwo"))
    );
    served.give("a", 100).await;
    // base64 of {"errorMessage":"late"}
    let failing = format!(
        "{head}3\r\none\r\n0\r\nLambda-Runtime-Function-Error-Type: Broken\r\n\
         Lambda-Runtime-Function-Error-Body: eyJlcnJvck1lc3NhZ2UiOiJsYXRlIn0=\r\n\r\n"
    );
    assert_eq!(served.raw(&failing).await.status, 202);
    let Answer::Error(report) = served.answer() else {
        panic!("it is an error");
    };
    assert_eq!(
        (report.kind, report.message),
        ("Broken".into(), "late".into())
    );
}

#[tokio::test]
async fn errors_are_taken_in_any_form() {
    let served = Served::start().await;
    let long = "x".repeat(9000);
    let cut = format!("{}…", "x".repeat(8192));
    for (body, kind, message) in [
        (
            r#"{"errorType":"E","errorMessage":"m","stackTrace":[]}"#,
            "E",
            "m",
        ),
        (r#"{"errorMessage":"m"}"#, "FromHeader", "m"),
        ("not json", "FromHeader", "not json"),
        ("", "FromHeader", ""),
        (r#"["odd"]"#, "FromHeader", r#"["odd"]"#),
        (r#"{"errorType":7}"#, "FromHeader", r#"{"errorType":7}"#),
        (&long, "FromHeader", &cut),
    ] {
        served.give("a", 4).await;
        let length = body.len();
        let request = format!(
            "POST {RUNTIME}/invocation/a/error HTTP/1.1\r\nHost: HOST\r\nContent-Length: {length}\r\n\
             Lambda-Runtime-Function-Error-Type: FromHeader\r\n\r\n{body}"
        );
        assert_eq!(served.raw(&request).await.status, 202, "{body}");
        let Answer::Error(report) = served.answer() else {
            panic!("it is an error");
        };
        assert_eq!(
            (report.kind.as_str(), report.message.as_str()),
            (kind, message)
        );
        assert_eq!(report.body, body);
    }
}

#[tokio::test]
async fn init_errors_get_exactly_202() {
    let served = Served::start().await;
    let path = format!("{RUNTIME}/init/error");
    let body = r#"{"errorType":"Import","errorMessage":"no module"}"#;
    assert_eq!(served.ask("POST", &path, body).await.status, 202);
    assert_eq!(served.event_slot.state(), SlotState::InitFailed);
    assert_eq!(served.event_slot.init_error().unwrap().message, "no module");
}

#[tokio::test]
async fn scf_calls_name_no_event_and_get_200() {
    let served = Served::start().await;
    assert_eq!(
        served.ask("POST", "/runtime/init/ready", " ").await.status,
        200
    );
    let response = "/runtime/invocation/response";
    assert_eq!(served.ask("POST", response, "early").await.status, 400);
    served.give("a", 10).await;
    for _ in 0..2 {
        let next = served.ask("GET", "/runtime/invocation/next", "").await;
        assert_eq!(
            (next.status, next.body.as_slice()),
            (200, &br#"{"n":1}"#[..])
        );
        assert_eq!(next.header("request_id"), Some("a"));
        let left: u64 = next.header("time_limit_in_ms").unwrap().parse().unwrap();
        assert!(left <= 3000, "{left}");
        let memory: u64 = next.header("memory_limit_in_mb").unwrap().parse().unwrap();
        assert!(memory > 0);
    }
    assert_eq!(served.ask("POST", response, "one").await.status, 200);
    assert_eq!(served.ask("POST", response, "two").await.status, 400);
    assert_eq!(
        served.answer(),
        Answer::Response(Bytes::from_static(b"one"))
    );
    served.give("b", 10).await;
    let error = "/runtime/invocation/error";
    assert_eq!(served.ask("POST", error, "no luck").await.status, 200);
    let Answer::Error(report) = served.answer() else {
        panic!("it is an error");
    };
    assert_eq!(report.message, "no luck");
}
