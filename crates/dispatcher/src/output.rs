//! From what a run writes to the log store.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tripline_journal::{LogStore, NewLine};
use tripline_model::{Clock, LogStream, RequestId};
use tripline_runtime::Output;

/// The log of one invocation.
pub(crate) struct InvocationLog {
    pub(crate) logs: Arc<dyn LogStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) request_id: RequestId,
    pub(crate) max_log_bytes: u64,
}

#[async_trait]
impl Output for InvocationLog {
    async fn lines(&self, stream: LogStream, lines: Vec<Bytes>) {
        let at = self.clock.now();
        let lines = lines.into_iter().map(|text| NewLine {
            request_id: self.request_id,
            at,
            stream,
            text,
            max_log_bytes: self.max_log_bytes,
        });
        if let Err(error) = self.logs.append(lines.collect()).await {
            tracing::warn!(%error, "log lines were lost");
        }
    }
}
