//! Which lines of a run are kept. Beside the run, so that it does not wait for each of its lines to be written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::Output;

/// Waits until lines that were taken are kept, and says up to which.
pub(super) struct Keeping {
    output: Arc<dyn Output>,
    /// Number of the last line that was taken, and of the last that is waited for or kept.
    taken: u64,
    asked: u64,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

// === impl Keeping ===

impl Keeping {
    pub(super) fn of(output: &Arc<dyn Output>) -> Self {
        Self {
            output: output.clone(),
            taken: 0,
            asked: 0,
            waiting: None,
        }
    }

    /// The output took the lines up to number `last`.
    pub(super) fn taken(&mut self, last: u64) {
        self.taken = self.taken.max(last);
    }

    /// Waits until more lines are kept; the number of the last of them. The future may be dropped and asked for again.
    pub(super) async fn next(&mut self) -> u64 {
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            None if self.taken > self.asked => {
                self.asked = self.taken;
                let output = self.output.clone();
                self.waiting
                    .insert(Box::pin(async move { output.kept().await }))
            }
            None => std::future::pending().await,
        };
        waiting.await;
        self.waiting = None;
        self.asked
    }
}
