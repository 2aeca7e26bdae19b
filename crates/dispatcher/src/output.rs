//! From what a run writes to the log store.

use std::sync::Arc;

use async_trait::async_trait;
use tripline_journal::{LogError, LogStore, NewLine};
use tripline_model::{Clock, LogStream, RequestId};
use tripline_runtime::{Line, NumberedLine, Output};

/// The log of one invocation.
pub(crate) struct InvocationLog {
    pub(crate) logs: Arc<dyn LogStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) request_id: RequestId,
    pub(crate) max_log_bytes: u64,
}

#[async_trait]
impl Output for InvocationLog {
    async fn lines(&self, stream: LogStream, lines: Vec<Line>) {
        let at = self.clock.now();
        let lines = lines.into_iter().map(|line| NewLine {
            request_id: self.request_id,
            at,
            stream,
            text: line.text,
            complete: line.complete,
            origin: None,
            max_log_bytes: self.max_log_bytes,
        });
        warn(self.logs.append(lines.collect()).await);
    }

    async fn numbered(&self, lines: Vec<NumberedLine>) {
        let lines = lines.into_iter().map(|line| NewLine {
            request_id: self.request_id,
            at: line.at,
            stream: line.stream,
            text: line.text,
            complete: line.complete,
            origin: Some(line.number),
            // Whoever gave the numbers has cut the log at its limit, and said so.
            max_log_bytes: u64::MAX,
        });
        warn(self.logs.append(lines.collect()).await);
    }

    async fn kept(&self) {
        if let Err(error) = self.logs.flush().await {
            tracing::warn!(%error, "log lines are not kept; whoever wrote them has them still");
            // The store is closed, as the hub is. The next life asks for the lines again.
            std::future::pending::<()>().await;
        }
    }

    async fn last_number(&self) -> u64 {
        let last = self.logs.last_origin(self.request_id).await;
        // With 0 everything comes once more, and the store drops what it has.
        last.unwrap_or_else(|error| {
            tracing::warn!(%error, "the log could not be read");
            0
        })
    }
}

fn warn(done: Result<(), LogError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "log lines were lost");
    }
}
