//! Processes that did not go away when they were killed: they wait for a device, or are frozen.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::child::Main;
use super::scratch::Scratch;
use super::tree::Tree;
use crate::instance::Remains;

/// Time of one round of killing.
const KILL_ROUND: Duration = Duration::from_secs(1);

/// What is left of a run.
pub(super) struct Left {
    /// The main process, if it is alive.
    pub(super) main: Option<Main>,
    pub(super) tree: Arc<Tree>,
    pub(super) scratch: Arc<Scratch>,
}

#[async_trait]
impl Remains for Left {
    async fn gone(&mut self) {
        while let Some(main) = &mut self.main {
            self.tree.kill();
            if timeout(KILL_ROUND, main.wait()).await.is_ok() {
                self.tree.main_is_over();
                self.main = None;
            }
        }
        while !self.tree.end(KILL_ROUND).await {
            tokio::time::sleep(KILL_ROUND).await;
        }
        self.scratch.give_up(false).await;
        self.tree.remove();
    }
}
