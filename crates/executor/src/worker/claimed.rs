//! The instance that a run has claimed: there, still being made, or made too late.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::pool::Pool;
use super::warm::{Slot, Warm};
use crate::instance::{Output, Remains, StartError};
use crate::protocol::Credentials;

/// The instance that works for a run, with its slot.
pub(super) struct ClaimedInstance {
    pub(super) warm: Warm,
    pub(super) slot: Slot,
    /// It had asked for events before this run came.
    pub(super) was_ready: bool,
}

/// A claim under way: a task, because it must not be dropped while an instance is half made.
pub(super) type PendingClaim = JoinHandle<Result<ClaimedInstance, StartError>>;

/// An instance whose start hung when its run had to end: it still holds its slot.
pub(super) struct LateInstance(pub(super) PendingClaim);

// === impl ClaimedInstance ===

impl ClaimedInstance {
    /// An instance that works for this run only, from now on.
    pub(super) async fn claim(
        pool: &Arc<Pool>,
        credentials: Option<&Credentials>,
        output: &Arc<dyn Output>,
        slot: Slot,
    ) -> Result<Self, StartError> {
        let warm = pool.claim(credentials).await?;
        let was_ready = warm.event_slot.has_asked();
        warm.tap.attach(output.clone()).await;
        Ok(Self {
            warm,
            slot,
            was_ready,
        })
    }
}

// === impl LateInstance ===

#[async_trait]
impl Remains for LateInstance {
    async fn gone(&mut self) {
        let Ok(Ok(claimed)) = (&mut self.0).await else {
            return;
        };
        let ended = claimed.warm.end(claimed.slot).await;
        if let Some(mut remains) = ended.and_then(|mut ended| ended.remains()) {
            remains.gone().await;
        }
    }
}
