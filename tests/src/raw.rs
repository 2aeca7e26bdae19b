//! A client that sends raw bytes, so that tests can also send wrong ones, slowly, or none at all.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a server may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub struct Raw {
    stream: TcpStream,
    /// What was read and belongs to no answer yet.
    read: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// What follows them.
    pub body: Vec<u8>,
}

// === impl Raw ===

impl Raw {
    /// Connects to `host:port`.
    pub async fn open(address: &str) -> Self {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await;
        let stream = stream
            .expect("a connection in time")
            .expect("somebody listens");
        stream.set_nodelay(true).expect("it is a TCP socket");
        let read = Vec::new();
        Self { stream, read }
    }

    /// The same with little room for what comes: a server soon notices that nothing is read.
    pub async fn open_narrow(address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket
            .set_recv_buffer_size(4096)
            .expect("it is a TCP socket");
        let address = address.parse().expect("host and port");
        let stream = timeout(PATIENCE, socket.connect(address)).await;
        let stream = stream
            .expect("a connection in time")
            .expect("somebody listens");
        let read = Vec::new();
        Self { stream, read }
    }

    /// Sends bytes; whether the other side took them all.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("the other side reads or closes").is_ok()
    }

    /// The next answer; `None` if the other side closed before the end of one.
    pub async fn answer(&mut self) -> Option<Answer> {
        let answer = timeout(PATIENCE, self.next()).await;
        answer.expect("an answer or a close in time")
    }

    /// Waits until the other side closes; gives what came before that.
    pub async fn rest(&mut self) -> String {
        let reading = async { while self.more().await {} };
        timeout(PATIENCE, reading).await.expect("a close in time");
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Goes away in the way of a process that was killed: nothing more is sent or read, the other side gets a reset.
    pub fn abandon(self) {
        // An error means that there is nothing to reset any more.
        let _gone = self.stream.set_zero_linger();
    }

    async fn next(&mut self) -> Option<Answer> {
        loop {
            while self.head_end().is_none() {
                if !self.more().await {
                    return None;
                }
            }
            let end = self.head_end()?;
            let rest = self.read.split_off(end);
            let head = String::from_utf8_lossy(&self.read).to_lowercase();
            self.read = rest;
            let status = head.split(' ').nth(1)?.parse().ok()?;
            if status == 100 {
                continue;
            }
            let length = head.split("content-length: ").nth(1);
            let length: usize =
                length.map_or(Some(0), |rest| rest.split('\r').next()?.parse().ok())?;
            while self.read.len() < length {
                if !self.more().await {
                    return None;
                }
            }
            let rest = self.read.split_off(length);
            let body = std::mem::replace(&mut self.read, rest);
            return Some(Answer { status, head, body });
        }
    }

    fn head_end(&self) -> Option<usize> {
        let mut windows = self.read.windows(4);
        Some(windows.position(|four| four == b"\r\n\r\n")? + 4)
    }

    /// Reads on; whether anything came. A reset is a close, too.
    async fn more(&mut self) -> bool {
        let mut buf = [0; 16 * 1024];
        match self.stream.read(&mut buf).await {
            Ok(count @ 1..) => {
                self.read.extend_from_slice(&buf[..count]);
                true
            }
            _ => false,
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What it says of acceptance: `yes` with a receipt, else the words of the problem, or `silent`.
    pub fn accepted(&self) -> String {
        let answer = self.json();
        match (answer["request_id"].as_str(), answer["accepted"].as_str()) {
            (_, Some(words)) => words.to_owned(),
            (Some(_), None) => "yes".to_owned(),
            (None, None) => "silent".to_owned(),
        }
    }
}
