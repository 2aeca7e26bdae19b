//! The instance of a run: had, coming, or late.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::pool::Pool;
use super::warm::{Slot, Warm};
use crate::instance::{Output, Remains, StartError};
use crate::protocol::Credentials;

/// The instance that works for a run.
pub(super) struct Held {
    pub(super) warm: Warm,
    pub(super) slot: Slot,
    /// It had asked for events before this run came.
    pub(super) was_ready: bool,
}

/// A task, for an instance that is half made must not be let go.
pub(super) type Coming = JoinHandle<Result<Held, StartError>>;

/// An instance whose start hung when its run had to end: it holds its slot still.
pub(super) struct Late(pub(super) Coming);

// === impl Held ===

impl Held {
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

// === impl Late ===

#[async_trait]
impl Remains for Late {
    async fn gone(&mut self) {
        let Ok(Ok(held)) = (&mut self.0).await else {
            return;
        };
        let ended = held.warm.end(held.slot).await;
        if let Some(mut remains) = ended.and_then(|mut ended| ended.remains()) {
            remains.gone().await;
        }
    }
}
