//! A runtime whose runs do what the first word of the event says: `ok`, `fail`, `wait` until told to stop, or `cling`,
//! which ends and is never gone.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use tripline_model::{End, Ending, LogStream, RequestId, Timestamp};
use tripline_runtime::{Line, Runtime, Start, Stop, StopSignal};

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
        let line = |text: &Bytes, complete| Line {
            text: text.clone(),
            complete,
        };
        let lines = [
            line(&Bytes::from_static(b"started"), true),
            line(&Bytes::from_static(b"\xff\n\x1b"), true),
            line(&Bytes::from_static(b"half "), false),
        ];
        start.output.lines(LogStream::Stderr, lines.into()).await;
        let data = start.invocation.event.data.unwrap_or_default();
        let signal = match data.starts_with(b"wait") {
            true => Some(match stop.next().await {
                Stop::Polite => 15,
                Stop::Kill(_) => 9,
            }),
            false => None,
        };
        let said = vec![line(&data, true)];
        start.output.lines(LogStream::Stdout, said).await;
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
            result: Some(data),
            ..Ending::new(end, Timestamp::from_millis(1_795_521_600_000), reason)
        }
    }

    async fn reclaim(&self, request_id: RequestId) {
        if *self.clinging.lock().await == Some(request_id) {
            std::future::pending::<()>().await;
        }
    }
}
