//! A runtime whose runs are scripted by the first word of the event: `ok`, `fail`, `wait` until it is stopped, `hush`, which
//! waits and writes nothing, or `cling`, which ends and is never gone.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use tripline_model::{End, Ending, LogStream, RequestId, Timestamp};
use tripline_runtime::{NumberedLine, Runtime, Start, Stop, StopSignal};

/// When everything takes place.
const NOW: Timestamp = Timestamp::from_millis(1_795_521_600_000);

#[derive(Default)]
pub(super) struct FakeRuntime {
    clinging: Mutex<Option<RequestId>>,
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn run(&self, start: Start, mut stop: StopSignal) -> Ending {
        let line = |number, stream, text: &Bytes| NumberedLine {
            number,
            at: NOW,
            stream,
            text: text.clone(),
            complete: number != 3,
        };
        let lines = [&b"started"[..], b"\xff\n\x1b", b"half "];
        let lines = (1..).zip(lines.map(Bytes::from_static));
        let lines = lines.map(|(number, text)| line(number, LogStream::Stderr, &text));
        let data = start.invocation.event.data.unwrap_or_default();
        let is_silent = data.starts_with(b"hush");
        if !is_silent {
            start.output.lines(lines.collect()).await;
        }
        let signal = match is_silent || data.starts_with(b"wait") {
            true => Some(match stop.next().await {
                Stop::Graceful => 15,
                Stop::Kill(_) => 9,
            }),
            false => None,
        };
        let echo = vec![line(4, LogStream::Stdout, &data)];
        if !is_silent {
            start.output.lines(echo).await;
        }
        if data.starts_with(b"cling") {
            *self.clinging.lock().await = Some(start.invocation.request_id);
        }
        let (end, reason, code) = match signal {
            Some(_) => (End::Terminated, "terminated", None),
            None if data.starts_with(b"fail") => (End::Failed, "exit_code", Some(3)),
            None => (End::Succeeded, "exit_code", Some(0)),
        };
        Ending {
            exit_code: code,
            signal,
            duration_ms: Some(12),
            peak_memory_bytes: Some(4096),
            memory_limit_bytes: Some(8192),
            result: Some(data),
            ..Ending::new(end, NOW, reason)
        }
    }

    async fn reclaim(&self, request_id: RequestId) {
        if *self.clinging.lock().await == Some(request_id) {
            std::future::pending::<()>().await;
        }
    }
}
