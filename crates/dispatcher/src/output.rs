//! From what a run writes to the log store.

use std::sync::Arc;

use async_trait::async_trait;
use tripline_journal::{LogError, LogStore, NewLine};
use tripline_model::RequestId;
use tripline_runtime::{NumberedLine, Output};

/// The log of one invocation.
pub(crate) struct InvocationLog {
    pub(crate) logs: Arc<dyn LogStore>,
    pub(crate) request_id: RequestId,
}

#[async_trait]
impl Output for InvocationLog {
    async fn lines(&self, lines: Vec<NumberedLine>) {
        let lines = lines.into_iter().map(|line| NewLine {
            request_id: self.request_id,
            at: line.at,
            stream: line.stream,
            text: line.text,
            complete: line.complete,
            origin: line.number,
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
