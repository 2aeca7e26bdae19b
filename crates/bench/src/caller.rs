//! Callers: many at once as fast as they are answered, or at an even pace whatever comes back. Each keeps one connection
//! and sends the same bytes again, so that next to nothing of what is measured is the caller's own work.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Outcome;
use crate::time::micros;

/// How long a call may be without an answer.
const SILENCE: Duration = Duration::from_secs(10);

/// So many calls without an answer, and no more are made.
const MAX_BROKEN: u64 = 32;

/// Bytes of an answer, at most.
const MAX_ANSWER: usize = 64 << 10;

/// What callers that waited for each answer saw.
pub(crate) struct Answered {
    /// How long all of it took.
    pub(crate) took: Duration,
    /// Milliseconds to each answer.
    pub(crate) millis: Vec<f64>,
    /// Calls whose connection broke, or was silent for too long, before the answer.
    pub(crate) broken: u64,
}

/// One connection.
struct Caller {
    stream: TcpStream,
    head: String,
    answer: Vec<u8>,
}

/// Posts `count` events with `callers` at the same time; no answer, or one that is no 2xx, is an error.
pub(crate) async fn closed_loop(url: &str, count: u64, callers: usize) -> Outcome<Answered> {
    let answered = patient_loop(url, count, callers).await?;
    match answered.broken {
        0 => Ok(answered),
        broken => Err(format!("{broken} of {count} calls had no answer").into()),
    }
}

/// The same at somebody who may break connections: such a call is counted, and the next one makes a new connection. After
/// some of them no more calls are made.
pub(crate) async fn patient_loop(url: &str, count: u64, callers: usize) -> Outcome<Answered> {
    let (left, broken) = (Arc::new(AtomicU64::new(count)), Arc::<AtomicU64>::default());
    let (mut tasks, begin) = (JoinSet::new(), Instant::now());
    for _ in 0..callers {
        let (mut caller, left) = (Caller::connect(url).await?, left.clone());
        let (url, broken) = (url.to_owned(), broken.clone());
        tasks.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            let (ordering, mut millis) = (Ordering::Relaxed, Vec::new());
            while left.fetch_update(ordering, ordering, take).is_ok() {
                let sent = Instant::now();
                if let Ok(Ok(status)) = timeout(SILENCE, caller.post("x")).await {
                    accepted(status)?;
                    millis.push(sent.elapsed().as_secs_f64() * 1000.0);
                } else {
                    if broken.fetch_add(1, ordering) + 1 >= MAX_BROKEN {
                        left.store(0, ordering);
                        break;
                    }
                    caller = Caller::connect(&url).await?;
                }
            }
            Ok::<_, String>(millis)
        });
    }
    let mut millis = Vec::new();
    while let Some(done) = tasks.join_next().await {
        millis.extend(done??);
    }
    Ok(Answered {
        took: begin.elapsed(),
        millis,
        broken: broken.load(Ordering::Relaxed),
    })
}

/// Posts events `0..count`, `rate` a second, over `callers` connections; gives when each was sent, in microseconds.
pub(crate) async fn even_pace(
    url: &str,
    count: u64,
    rate: u64,
    callers: u64,
) -> Outcome<HashMap<u64, u64>> {
    let mut sent = HashMap::new();
    for (event, (at, _, status)) in paced(url, count, rate, callers).await? {
        accepted(status)?;
        sent.insert(event, at);
    }
    Ok(sent)
}

/// Posts events `0..count`, `rate` a second, over `callers` connections; when each was sent and answered, in microseconds,
/// and the status.
pub(crate) async fn paced(
    url: &str,
    count: u64,
    rate: u64,
    callers: u64,
) -> Outcome<HashMap<u64, (u64, u64, u16)>> {
    let (mut tasks, begin) = (JoinSet::new(), Instant::now());
    for first in 0..callers {
        let mut caller = Caller::connect(url).await?;
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for event in (first..count).step_by(usize::try_from(callers).unwrap_or(1)) {
                sleep_until(begin + Duration::from_micros(event * 1_000_000 / rate)).await;
                let sent = micros();
                let status = caller.post(&event.to_string()).await?;
                answers.push((event, (sent, micros(), status)));
            }
            Ok::<_, String>(answers)
        });
    }
    let mut answers = HashMap::new();
    while let Some(done) = tasks.join_next().await {
        answers.extend(done??);
    }
    Ok(answers)
}

fn accepted(status: u16) -> Result<(), String> {
    if (200..300).contains(&status) {
        Ok(())
    } else {
        Err(format!("an event was answered {status}"))
    }
}

// === impl Caller ===

impl Caller {
    async fn connect(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("not an http URL")?;
        let (address, path) = rest.split_once('/').ok_or("a URL without a path")?;
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("{address}: {error}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self {
            stream,
            head: format!("POST /{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: "),
            answer: Vec::with_capacity(1024),
        })
    }

    /// Posts `body`; the status of the answer.
    async fn post(&mut self, body: &str) -> Result<u16, String> {
        let request = format!("{}{}\r\n\r\n{body}", self.head, body.len());
        let written = self.stream.write_all(request.as_bytes()).await;
        written.map_err(|error| error.to_string())?;
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await;
            if read.map_err(|error| error.to_string())? == 0 {
                return Err("the connection was closed before the answer".to_owned());
            }
            if let Some(status) = whole(&self.answer)? {
                return Ok(status);
            }
            if self.answer.len() > MAX_ANSWER {
                return Err("the answer is too long".to_owned());
            }
        }
    }
}

/// The status, once the answer with its body is there.
fn whole(answer: &[u8]) -> Result<Option<u16>, String> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or("not an HTTP answer")?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    Ok((body.len() >= length.unwrap_or(0)).then_some(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_who_breaks_every_connection_is_soon_left_alone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/event", listener.local_addr().unwrap());
        let mut breaking = JoinSet::new();
        breaking.spawn(async move { while listener.accept().await.is_ok() {} });
        let answered = patient_loop(&url, 100_000, 4).await.unwrap();
        assert!(answered.millis.is_empty());
        assert!((MAX_BROKEN..MAX_BROKEN + 4).contains(&answered.broken));
        assert!(closed_loop(&url, 100_000, 4).await.is_err());
        breaking.shutdown().await;
    }

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let head = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(whole(head.as_bytes()), Ok(None));
        assert_eq!(whole(format!("{head}ok").as_bytes()), Ok(Some(202)));
        assert!(whole(b"nonsense\r\n\r\n").is_err());
    }
}
