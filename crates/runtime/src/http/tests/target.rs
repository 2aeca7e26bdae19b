//! A target that behaves badly, and counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// What it does when it has read a whole request.
#[derive(Clone)]
pub(super) enum Manner {
    /// Writes these bytes and hangs up.
    Answer(Vec<u8>),
    /// Writes these bytes, keeps the connection open, and says nothing more.
    AnswerAndStay(Vec<u8>),
    /// Answers 200 and then one byte every 20 ms, for ever.
    Drip,
    /// Answers 200 and 100 MB.
    Huge,
    /// Writes these bytes and resets the connection.
    Reset(Vec<u8>),
}

/// What it has seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    /// Whole requests, as they came.
    pub(super) requests: Vec<Vec<u8>>,
    /// Connections that the other side has left.
    pub(super) left: usize,
}

pub(super) struct Target {
    pub(super) address: SocketAddr,
    seen: watch::Receiver<Seen>,
    _tasks: JoinSet<()>,
}

// === impl Target ===

impl Target {
    pub(super) async fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = watch::channel(Seen::default());
        let sender = Arc::new(sender);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                sender.send_modify(|seen| seen.connections += 1);
                connections.spawn(serve(stream, manner.clone(), sender.clone()));
            }
        });
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    pub(super) async fn wait_until(&self, condition: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let wait = seen.wait_for(condition);
        timeout(Duration::from_secs(10), wait)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, seen: Arc<watch::Sender<Seen>>) {
    // A client that sends a second request on the same connection is counted, too.
    while let Some(request) = read_request(&mut stream).await {
        seen.send_modify(|seen| seen.requests.push(request));
        match &manner {
            Manner::Answer(bytes) => {
                let _ = stream.write_all(bytes).await;
                return;
            }
            Manner::AnswerAndStay(bytes) => {
                let _ = stream.write_all(bytes).await;
            }
            Manner::Reset(bytes) => {
                let _ = stream.write_all(bytes).await;
                stream.set_zero_linger().unwrap();
                return;
            }
            Manner::Drip => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                let mut beat = interval(Duration::from_millis(20));
                while stream.write_all(b".").await.is_ok() {
                    beat.tick().await;
                }
            }
            Manner::Huge => {
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
                let _ = stream.write_all(head).await;
                let chunk = vec![b'x'; 1_000_000];
                for _ in 0..100 {
                    if stream.write_all(&chunk).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
    seen.send_modify(|seen| seen.left += 1);
}

/// A request with its body; `None` when there is none to come.
async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.map_or(0, |rest| {
                let digits = rest.split("\r\n").next().unwrap();
                digits.parse::<usize>().unwrap()
            });
            if bytes.len() >= end + 4 + length {
                return Some(bytes);
            }
        }
        // What is no POST, such as TLS, is hung up on.
        if stream.read_buf(&mut bytes).await.ok()? == 0 || bytes[0] != b'P' {
            return None;
        }
    }
}
