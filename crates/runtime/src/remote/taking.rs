//! Lines that an output is about to take. Beside the run, so that an output that takes nothing for now holds up neither
//! a stop nor new credentials.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use tripline_executor::client::NumberedLine;

use crate::Output;

/// Waits until an output has taken lines.
pub(super) struct Taking {
    output: Arc<dyn Output>,
    waiting: Option<Pin<Box<dyn Future<Output = u64> + Send>>>,
}

// === impl Taking ===

impl Taking {
    pub(super) fn of(output: &Arc<dyn Output>) -> Self {
        Self {
            output: output.clone(),
            waiting: None,
        }
    }

    /// Gives lines to the output. Only once the last ones were taken.
    pub(super) fn begin(&mut self, lines: Vec<NumberedLine>) {
        let output = self.output.clone();
        self.waiting = Some(Box::pin(async move {
            let last = lines.last().map_or(0, |line| line.number);
            output.lines(lines).await;
            last
        }));
    }

    /// Whether all lines were taken.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_none()
    }

    /// Waits until the lines are taken; the number of the last. The future may be dropped and asked for again.
    pub(super) async fn over(&mut self) -> u64 {
        let Some(waiting) = &mut self.waiting else {
            return pending().await;
        };
        let last = waiting.await;
        self.waiting = None;
        last
    }
}
