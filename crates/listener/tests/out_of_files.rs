//! Without a free file descriptor nothing can be accepted; the loop must still be there when there is one again. Alone
//! in its binary, because it takes every descriptor of the process.

mod support;

use std::fs::File;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{Served, read_until, send};
use tokio::net::TcpSocket;
use tripline_listener::ListenerLimits;

/// Few, so that taking them all is quick.
const DESCRIPTORS: u64 = 128;

#[tokio::test]
async fn the_loop_outlives_a_lack_of_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.min(hard), hard).unwrap();
    let app = Router::new().route("/", get(|| async { "hello!" }));
    let served = Served::start(app, ListenerLimits::default(), Duration::from_secs(1)).await;
    // Made while there still is a descriptor for it.
    let socket = TcpSocket::new_v4().unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    assert!(!taken.is_empty());
    let mut stream = socket.connect(served.addr).await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n").await;
    // The loop runs on this thread, too: once it has had the thread a few times, an accept has failed.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(taken);
    read_until(&mut stream, "hello!").await;
}
