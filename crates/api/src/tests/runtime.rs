//! A runtime whose runs do what the first word of the event says: `ok`, `fail`, or `wait` until told to stop.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use tripline_model::LogStream;
use tripline_runtime::{Exit, Instance, Output, Runtime, Start, StartError};

pub(super) struct FakeRuntime;

struct FakeInstance {
    data: Bytes,
    output: Arc<dyn Output>,
    said: bool,
    stop: watch::Sender<Option<i32>>,
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn start(&self, start: Start) -> Result<Box<dyn Instance>, StartError> {
        Ok(Box::new(FakeInstance {
            data: start.invocation.event.data.unwrap_or_default(),
            output: start.output,
            said: false,
            stop: watch::Sender::new(None),
        }))
    }
}

#[async_trait]
impl Instance for FakeInstance {
    fn terminate(&self) {
        self.stop
            .send_if_modified(|stop| stop.is_none() && stop.replace(15).is_none());
    }

    fn kill(&self) {
        self.stop.send_replace(Some(9));
    }

    async fn wait(&mut self) {
        if !self.said {
            self.said = true;
            let lines = vec![
                Bytes::from_static(b"started"),
                Bytes::from_static(b"\xff\n\x1b"),
            ];
            self.output.lines(LogStream::Stderr, lines).await;
        }
        if self.data.starts_with(b"wait") {
            let mut stop = self.stop.subscribe();
            let _ = stop.wait_for(Option::is_some).await;
        }
    }

    async fn reclaim(&mut self) -> Exit {
        self.output
            .lines(LogStream::Stdout, vec![self.data.clone()])
            .await;
        let signal = *self.stop.borrow();
        let code = match signal {
            Some(_) => None,
            None => Some(if self.data.starts_with(b"fail") { 3 } else { 0 }),
        };
        Exit {
            code,
            signal,
            result: self.data.clone(),
            result_cut: false,
        }
    }
}
