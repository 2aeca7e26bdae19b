//! Which lines of a run are kept. Beside the run, so that it does not wait for each of its lines to be written.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::Output;

/// How long the first of some lines waits to be confirmed together with those that follow. A run that is shorter is
/// confirmed once, by its end.
const CONFIRM_DELAY: Duration = Duration::from_millis(20);

/// With so many messages it does not wait: an executor sends few more than these ahead.
const CONFIRM_AT_ONCE: u32 = 8;

/// Waits until lines that were taken are kept, and returns up to which.
pub(super) struct Keeping {
    output: Arc<dyn Output>,
    /// Numbers of the last line that was taken, of the last that was asked for, and of the last that is kept.
    taken: u64,
    asked: u64,
    kept: u64,
    /// Messages that were taken and are not waited for, and when the first of them was.
    messages: u32,
    since: Instant,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

// === impl Keeping ===

impl Keeping {
    pub(super) fn of(output: &Arc<dyn Output>) -> Self {
        Self {
            output: output.clone(),
            taken: 0,
            asked: 0,
            kept: 0,
            messages: 0,
            since: Instant::now(),
            waiting: None,
        }
    }

    /// The output took a message with the lines up to number `last`.
    pub(super) fn taken(&mut self, last: u64) {
        if self.messages == 0 {
            self.since = Instant::now();
        }
        self.messages = self.messages.saturating_add(1);
        self.taken = self.taken.max(last);
    }

    /// Waits until more lines are kept; the number of the last of them. The future may be dropped and asked for again.
    pub(super) async fn next(&mut self) -> u64 {
        if self.waiting.is_none() {
            match self.messages {
                0 => pending().await,
                1..CONFIRM_AT_ONCE => sleep_until(self.since + CONFIRM_DELAY).await,
                _ => {}
            }
            self.asked = self.taken;
            self.messages = 0;
        }
        let output = &self.output;
        let waiting = self.waiting.get_or_insert_with(|| {
            let output = output.clone();
            Box::pin(async move { output.kept().await })
        });
        waiting.await;
        self.waiting = None;
        self.kept = self.asked;
        self.kept
    }

    /// Waits until every line that was taken is kept. A run that writes nothing has nothing to wait for.
    pub(super) async fn all(self) {
        if self.kept < self.taken {
            self.output.kept().await;
        }
    }
}
