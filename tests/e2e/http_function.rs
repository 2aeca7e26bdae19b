//! Functions that are somewhere else: one POST each, and never a second one.
//!
//! So it is with any status, no connection, no answer, an answer without end, and a hub that dies while it waits.
//! Proxies of the environment are not used, and private addresses and names are refused.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tripline_tests::{Hub, eventually};

/// A target that treats all requests alike, and keeps them.
struct Target {
    address: SocketAddr,
    connections: watch::Receiver<usize>,
    requests: watch::Receiver<Vec<String>>,
    _tasks: JoinSet<()>,
}

/// What it does with a request that it has read.
#[derive(Clone, Copy)]
enum Manner {
    /// Writes this and hangs up.
    Say(&'static str),
    /// Holds the connection until the other side lets go.
    Hold,
    /// Succeeds with a body that goes on until the other side lets go.
    GoOn,
}

// === impl Target ===

impl Target {
    async fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, connections) = watch::channel(0);
        let (seen, requests) = watch::channel(Vec::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connected.send_modify(|count| *count += 1);
                serving.spawn(serve(stream, manner, seen.clone()));
            }
        });
        Self {
            address,
            connections,
            requests,
            _tasks: tasks,
        }
    }

    /// A function at this target.
    fn function(&self, keys: &str) -> String {
        function(self.address, keys)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, seen: watch::Sender<Vec<String>>) {
    // A second request on the same connection counts, too.
    while let Some(request) = read_request(&mut stream).await {
        seen.send_modify(|requests| requests.push(request));
        match manner {
            Manner::Hold => {}
            Manner::Say(answer) => {
                let _gone = stream.write_all(answer.as_bytes()).await;
                return;
            }
            Manner::GoOn => {
                let mut next: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
                while stream.write_all(next).await.is_ok() {
                    next = &[b'x'; 4096];
                }
                return;
            }
        }
    }
}

/// A request with its body; `None` when there is none to come.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(format!("{head}\r\n\r\n{body}"));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn function(address: SocketAddr, keys: &str) -> String {
    format!("[functions.far]\nruntime = \"http\"\nurl = \"http://{address}/events?x=1\"\n{keys}\n")
}

const ALLOWED: &str = "allow_private = true";

async fn call(hub: &Hub) -> Value {
    let id = hub.invoke("far", r#"{"order":7}"#).await;
    hub.ended(&id).await
}

fn is(ended: &Value, state: &str, code: u16, reason: &str, ran: &str) {
    let found = (
        &ended["state"],
        &ended["status_code"],
        &ended["reason"],
        &ended["ran"],
    );
    let expected = (&json!(state), &json!(code), &json!(reason), &json!(ran));
    assert_eq!(found, expected, "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_2xx_is_a_success() {
    let target = Target::new(Manner::Say("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let headers = "headers = { authorization = { env = \"FAR_TOKEN\" } }";
    let mut hub = Hub::prepare(&target.function(&format!("{ALLOWED}\n{headers}")));
    let secret = "Bearer hunter2";
    hub.launch_with(&[("FAR_TOKEN", secret)]).await;
    let ended = call(&hub).await;
    is(&ended, "succeeded", 200, "http_status", "yes");
    let id = ended["request_id"].as_str().unwrap();
    let requests = target.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    let event_id = ended["event"]["id"].as_str().unwrap();
    assert!(
        request.starts_with("post /events?x=1 http/1.1\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n{\"order\":7}"), "{request}");
    for header in [
        "ce-specversion: 1.0",
        &format!("ce-id: {event_id}"),
        &format!("tripline-request-id: {id}"),
        &format!("authorization: {}", secret.to_lowercase()),
    ] {
        assert!(request.contains(header), "{header}: {request}");
    }
    let log = hub.log(id).await;
    let text = |line: &Value| line["text"].as_str().unwrap().to_owned();
    let lines: Vec<_> = log.iter().map(text).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(
        lines[..2],
        [
            format!("START RequestId:{id}"),
            format!("END RequestId:{id}")
        ]
    );
    assert!(lines[2].ends_with(" Code:200"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_status_is_a_failure_and_no_second_try() {
    for answer in [
        "HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\noops",
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 4\r\n\r\noops",
    ] {
        let target = Target::new(Manner::Say(answer)).await;
        let hub = Hub::start(&target.function(ALLOWED)).await;
        let ended = call(&hub).await;
        is(&ended, "failed", 430, "http_status", "yes");
        assert_eq!(ended["result_bytes"], 4, "{ended}");
        // The next call would come after a second try.
        call(&hub).await;
        assert_eq!(target.requests().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_read_up_to_its_bound_and_no_further() {
    let target = Target::new(Manner::GoOn).await;
    // Longer than this test waits: nothing but the bound ends it.
    let keys = format!("{ALLOWED}\nmax_result = \"10KiB\"\ntimeout = \"1h\"");
    let hub = Hub::start(&target.function(&keys)).await;
    let ended = call(&hub).await;
    is(&ended, "succeeded", 200, "http_status", "yes");
    let found = (&ended["result_bytes"], &ended["result_cut"]);
    assert_eq!(found, (&json!(10 << 10), &json!(true)), "{ended}");
    let id = ended["request_id"].as_str().unwrap();
    let result = hub.request(&format!("/v1/invocations/{id}/result"));
    let result = result.send().await.expect("the hub answers");
    let result = result.bytes().await.expect("it is all there");
    assert!(result.len() == 10 << 10 && result.iter().all(|byte| *byte == b'x'));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_of_the_environment_is_asked() {
    let target = Target::new(Manner::Say("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let proxy = Target::new(Manner::Say("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let url = format!("http://{}", proxy.address);
    let names = [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    // Without exceptions, whatever this test's own environment has.
    let without = [("no_proxy", ""), ("NO_PROXY", "")];
    let env: Vec<_> = names
        .iter()
        .map(|name| (*name, &*url))
        .chain(without)
        .collect();
    let mut hub = Hub::prepare(&target.function(ALLOWED));
    hub.launch_with(&env).await;
    is(&call(&hub).await, "succeeded", 200, "http_status", "yes");
    assert_eq!(target.requests().len(), 1);
    assert_eq!(*proxy.connections.borrow(), 0, "the proxy was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_nothing_ran() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let hub = Hub::start(&function(address, ALLOWED)).await;
    is(&call(&hub).await, "failed", 405, "start_failed", "no");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_it_is_lost_and_never_sent_again() {
    let target = Target::new(Manner::Say("")).await;
    let mut hub = Hub::start(&target.function(ALLOWED)).await;
    let ended = call(&hub).await;
    is(&ended, "lost", 500, "no_answer", "unknown");
    assert_eq!(target.requests().len(), 1);
    hub.kill().await;
    hub.launch().await;
    // The next call would come after a second try of the first.
    let next = call(&hub).await;
    is(&next, "lost", 500, "no_answer", "unknown");
    let requests = target.requests();
    for one in [&ended, &next] {
        let id = one["request_id"].as_str().unwrap();
        let about = requests.iter().filter(|request| request.contains(id));
        assert_eq!(about.count(), 1, "{requests:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_dies_while_it_waits_never_sends_again() {
    let target = Target::new(Manner::Hold).await;
    let mut hub = Hub::start(&target.function(&format!("{ALLOWED}\ntimeout = \"1h\""))).await;
    let id = hub.invoke("far", "x").await;
    let sent = async |count: usize| {
        eventually(&format!("{count} requests"), async || {
            (target.requests().len() >= count).then_some(())
        })
        .await;
    };
    sent(1).await;
    hub.kill().await;
    hub.launch().await;
    is(
        &hub.ended(&id).await,
        "lost",
        500,
        "hub_restarted",
        "unknown",
    );
    let log = hub.lines("hub.log");
    let named = |line: &&String| line.contains("WARN") && line.contains(&id);
    assert_eq!(log.iter().filter(named).count(), 1, "{log:#?}");
    let next = hub.invoke("far", "y").await;
    sent(2).await;
    assert_eq!(hub.cli(&["terminate", &next]).code, 0);
    is(
        &hub.ended(&next).await,
        "terminated",
        499,
        "no_answer",
        "unknown",
    );
    let about: Vec<_> = target
        .requests()
        .iter()
        .map(|request| request.contains(&id))
        .collect();
    assert_eq!(about, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_not_reached_unless_that_is_allowed() {
    let target = Target::new(Manner::Say("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let port = target.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let config =
            format!("[functions.far]\nruntime = \"http\"\nurl = \"http://{host}:{port}/\"\n");
        let hub = Hub::start(&config).await;
        let ended = call(&hub).await;
        is(&ended, "failed", 405, "start_failed", "no");
        assert_eq!(ended["ran"], "no", "{ended}");
    }
    assert_eq!(*target.connections.borrow(), 0, "it was connected to");
}
