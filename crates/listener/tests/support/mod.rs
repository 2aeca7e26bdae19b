//! A served listener and a client that sends raw bytes, so that tests can break the protocol, too.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tripline_listener::{Listener, ListenerLimits, TlsFiles};

/// How long anything may take before a test fails.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A listener that serves until it is stopped.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    shutdown: CancellationToken,
    task: JoinSet<()>,
}

impl Served {
    pub(crate) async fn start(app: Router, limits: ListenerLimits, drain: Duration) -> Self {
        Self::start_tls(app, limits, drain, None).await
    }

    pub(crate) async fn start_tls(
        app: Router,
        limits: ListenerLimits,
        drain: Duration,
        tls: Option<TlsFiles>,
    ) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind("test", any, limits, tls)
            .await
            .expect("a free port");
        let addr = listener.local_addr();
        let shutdown = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(listener.serve(app, shutdown.clone(), drain));
        Self {
            addr,
            shutdown,
            task,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("it listens")
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// Waits until `serve` has returned.
    pub(crate) async fn ended(&mut self) {
        let ended = timeout(TEST_TIMEOUT, self.task.join_next()).await;
        ended
            .expect("serve returns in time")
            .expect("it was started")
            .expect("it does not panic");
    }
}

pub(crate) async fn send(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream
        .write_all(text.as_bytes())
        .await
        .expect("the other side reads");
}

/// Reads until what was read contains `needle`; returns all of it.
pub(crate) async fn read_until(stream: &mut (impl AsyncRead + Unpin), needle: &str) -> String {
    let mut read = Vec::new();
    let wait = async {
        let mut buf = [0; 1024];
        while !String::from_utf8_lossy(&read).contains(needle) {
            let count = stream.read(&mut buf).await.unwrap_or(0);
            if count == 0 {
                break;
            }
            read.extend_from_slice(&buf[..count]);
        }
    };
    timeout(TEST_TIMEOUT, wait)
        .await
        .expect("an answer in time");
    let text = String::from_utf8_lossy(&read).into_owned();
    assert!(text.contains(needle), "no {needle:?} in {text:?}");
    text
}

/// Waits until the other side closes; returns what came before.
pub(crate) async fn read_to_close(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    let wait = async {
        let mut buf = [0; 1024];
        // A reset is a close, too.
        while let Ok(count @ 1..) = stream.read(&mut buf).await {
            read.extend_from_slice(&buf[..count]);
        }
    };
    timeout(TEST_TIMEOUT, wait).await.expect("a close in time");
    String::from_utf8_lossy(&read).into_owned()
}
