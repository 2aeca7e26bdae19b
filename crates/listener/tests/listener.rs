//! The accept loop over real sockets: answers, limits, and how it ends.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use support::{Served, TEST_TIMEOUT, read_to_close, read_until, send};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tripline_listener::{Listener, ListenerLimits};

const ASK: &str = "GET / HTTP/1.1\r\nHost: hub\r\n\r\n";
const DRAIN: Duration = Duration::from_secs(10);

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello!" }))
}

/// An app whose response waits for the second notification, after it has sent the first.
fn slow() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, wait) = (Arc::clone(&began), Arc::clone(&go_on));
    let answer = move || async move {
        begin.notify_one();
        wait.notified().await;
        "hello!"
    };
    (Router::new().route("/", get(answer)), began, go_on)
}

#[tokio::test]
async fn several_requests_on_one_connection_and_the_peer_is_known() {
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("from {peer}.") };
    let app = Router::new().route("/", get(peer));
    let served = Served::start(app, ListenerLimits::default(), DRAIN).await;
    let mut stream = served.connect().await;
    let expected = format!("from {}.", stream.local_addr().unwrap());
    for _ in 0..3 {
        send(&mut stream, ASK).await;
        read_until(&mut stream, &expected).await;
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_and_others_are_served() {
    let limits = ListenerLimits {
        header_timeout: Duration::from_millis(100),
        ..ListenerLimits::default()
    };
    let served = Served::start(hello(), limits, DRAIN).await;
    let mut half = served.connect().await;
    send(&mut half, "GET / HTTP/1.1\r\nHost: h").await;
    let mut whole = served.connect().await;
    send(&mut whole, ASK).await;
    read_until(&mut whole, "hello!").await;
    read_to_close(&mut half).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = ListenerLimits {
        idle_timeout: Duration::from_millis(100),
        ..ListenerLimits::default()
    };
    let served = Served::start(hello(), limits, DRAIN).await;
    let mut stream = served.connect().await;
    send(&mut stream, ASK).await;
    assert!(read_to_close(&mut stream).await.contains("hello!"));
}

#[tokio::test]
async fn a_connection_that_waited_for_its_answer_is_closed_when_it_is_idle() {
    let (app, began, go_on) = slow();
    let limits = ListenerLimits {
        idle_timeout: Duration::from_millis(100),
        ..ListenerLimits::default()
    };
    let served = Served::start(app, limits, DRAIN).await;
    let mut stream = served.connect().await;
    send(&mut stream, ASK).await;
    timeout(TEST_TIMEOUT, began.notified()).await.unwrap();
    // Longer than the idle time: while the application works there is no deadline.
    let too_early = timeout(Duration::from_millis(200), read_to_close(&mut stream)).await;
    assert!(too_early.is_err(), "closed while the application worked");
    go_on.notify_one();
    assert!(read_to_close(&mut stream).await.contains("hello!"));
}

#[tokio::test]
async fn large_heads_are_refused() {
    let served = Served::start(hello(), ListenerLimits::default(), DRAIN).await;
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(33 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(101));
    for ask in [long, many] {
        let mut stream = served.connect().await;
        send(&mut stream, &ask).await;
        read_until(&mut stream, "HTTP/1.1 431").await;
    }
    let fits = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(31 * 1024));
    let mut stream = served.connect().await;
    send(&mut stream, &fits).await;
    read_until(&mut stream, "hello!").await;
}

#[tokio::test]
async fn over_the_cap_connections_wait_while_all_work() {
    let (app, began, go_on) = slow();
    let limits = ListenerLimits {
        max_connections: 1,
        ..ListenerLimits::default()
    };
    let served = Served::start(app, limits, DRAIN).await;
    let mut first = served.connect().await;
    send(&mut first, ASK).await;
    timeout(TEST_TIMEOUT, began.notified()).await.unwrap();
    let mut second = served.connect().await;
    send(&mut second, ASK).await;
    // Were the cap not there, the second would begin in this time.
    let too_early = timeout(Duration::from_millis(100), began.notified()).await;
    assert!(too_early.is_err(), "there was no place for a second");
    go_on.notify_one();
    read_until(&mut first, "hello!").await;
    timeout(TEST_TIMEOUT, began.notified()).await.unwrap();
    go_on.notify_one();
    read_until(&mut second, "hello!").await;
    read_to_close(&mut first).await;
}

#[tokio::test]
async fn silent_connections_are_evicted_for_new_ones() {
    let limits = ListenerLimits {
        max_connections: 4,
        ..ListenerLimits::default()
    };
    let served = Served::start(hello(), limits, DRAIN).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(served.connect().await);
    }
    let mut caller = served.connect().await;
    send(&mut caller, ASK).await;
    read_until(&mut caller, "hello!").await;
    read_to_close(&mut silent[0]).await;
}

#[tokio::test]
async fn an_address_has_its_connections_and_no_more() {
    let (app, began, go_on) = slow();
    let limits = ListenerLimits {
        max_connections_per_address: 2,
        ..ListenerLimits::default()
    };
    let served = Served::start(app, limits, DRAIN).await;
    let mut working = Vec::new();
    for _ in 0..2 {
        let mut stream = served.connect().await;
        send(&mut stream, ASK).await;
        timeout(TEST_TIMEOUT, began.notified()).await.unwrap();
        working.push(stream);
    }
    let mut third = served.connect().await;
    let response = read_to_close(&mut third).await;
    assert!(
        response.starts_with("HTTP/1.1 503") && response.contains("too_many_connections"),
        "{response}"
    );
    assert!(response.contains("\"accepted\":\"no\""), "{response}");
    for _ in 0..2 {
        go_on.notify_one();
    }
    for stream in &mut working {
        read_until(stream, "hello!").await;
    }
    let mut fourth = served.connect().await;
    send(&mut fourth, ASK).await;
    timeout(TEST_TIMEOUT, began.notified()).await.unwrap();
    go_on.notify_one();
    read_until(&mut fourth, "hello!").await;
}

#[tokio::test]
async fn a_malformed_request_gets_that_nothing_was_accepted() {
    let served = Served::start(hello(), ListenerLimits::default(), DRAIN).await;
    let path = "a".repeat(31 * 1024);
    for (bytes, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
            400,
        ),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(101)),
            431,
        ),
        (format!("GET /{path}{path}{path} HTTP/1.1\r\n\r\n"), 431),
    ] {
        let mut stream = served.connect().await;
        // A good one before it changes nothing.
        send(&mut stream, ASK).await;
        read_until(&mut stream, "hello!").await;
        send(&mut stream, &bytes).await;
        let response = read_to_close(&mut stream).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
        assert!(response.ends_with("\"accepted\":\"no\"}"), "{response}");
    }
}

#[tokio::test]
async fn a_slow_head_gets_the_reason_why_it_is_cut() {
    let limits = ListenerLimits {
        header_timeout: Duration::from_millis(100),
        ..ListenerLimits::default()
    };
    let served = Served::start(hello(), limits, DRAIN).await;
    let mut slow = served.connect().await;
    send(&mut slow, "GET / HTTP/1.1\r\nHost: h").await;
    let response = read_to_close(&mut slow).await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.ends_with("\"accepted\":\"no\"}"), "{response}");
    let mut silent = served.connect().await;
    assert_eq!(read_to_close(&mut silent).await, "");
}

#[tokio::test]
async fn a_peer_that_requests_much_and_reads_nothing_is_cut() {
    let app = Router::new().route("/", get(|| async { "x".repeat(2000) }));
    let limits = ListenerLimits {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(200),
        ..ListenerLimits::default()
    };
    let served = Served::start(app, limits, DRAIN).await;
    for asks in [10, 300, 3000] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut deaf = socket.connect(served.addr).await.unwrap();
        send(&mut deaf, &ASK.repeat(asks)).await;
        // A peer that goes on sending gets an error after the cut, even if it never reads.
        let noticed = async {
            while deaf.write_all(b"\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let cut = timeout(Duration::from_secs(5), noticed).await;
        assert!(cut.is_ok(), "still there after {asks} requests");
    }
}

#[tokio::test]
async fn an_answer_arrives_although_the_body_goes_on() {
    let served = Served::start(hello(), ListenerLimits::default(), DRAIN).await;
    let length = 4 << 20;
    let mut stream = served.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: {length}\r\n\r\n");
    send(&mut stream, &head).await;
    // The application does not read the body; the response must come all the same.
    let (mut read, mut write) = stream.split();
    let body = vec![b'x'; length];
    let (sent, response) = tokio::join!(write.write_all(&body), read_to_close(&mut read));
    sent.expect("the rest is taken and forgotten");
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_closes_the_rest() {
    let (app, began, go_on) = slow();
    let mut served = Served::start(app, ListenerLimits::default(), Duration::from_secs(600)).await;
    let (mut busy, mut silent) = (served.connect().await, served.connect().await);
    send(&mut busy, ASK).await;
    timeout(TEST_TIMEOUT, began.notified()).await.unwrap();
    served.shut_down();
    read_to_close(&mut silent).await;
    assert!(
        TcpStream::connect(served.addr).await.is_err(),
        "a new connection was accepted"
    );
    go_on.notify_one();
    assert!(read_to_close(&mut busy).await.contains("hello!"));
    served.ended().await;
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let (app, began, _go_on) = slow();
    let drain = Duration::from_millis(50);
    let mut served = Served::start(app, ListenerLimits::default(), drain).await;
    let mut stuck = served.connect().await;
    send(&mut stuck, ASK).await;
    timeout(TEST_TIMEOUT, began.notified()).await.unwrap();
    served.shut_down();
    served.ended().await;
    assert_eq!(read_to_close(&mut stuck).await, "");
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    async fn broken() -> &'static str {
        panic!("a fault of the test's own")
    }
    let app = hello().route("/broken", get(broken));
    let served = Served::start(app, ListenerLimits::default(), DRAIN).await;
    let mut stream = served.connect().await;
    send(&mut stream, "GET /broken HTTP/1.1\r\nHost: hub\r\n\r\n").await;
    let answer = read_until(&mut stream, "\"accepted\":\"unknown\"").await;
    assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("fault of the test"));
    send(&mut stream, ASK).await;
    read_until(&mut stream, "hello!").await;
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let served = Served::start(hello(), ListenerLimits::default(), DRAIN).await;
    let second = Listener::bind("admin", served.addr, ListenerLimits::default(), None).await;
    let error = second.err().unwrap().to_string();
    let expected = format!("the admin listener cannot listen on {}: ", served.addr);
    assert!(error.starts_with(&expected), "{error}");
}
