//! A limiter that counts by the wall clock, in front of a hub that has none: for one of the mutants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use tripline_model::{
    Clock, Dispatch, Function, FunctionName, Invocation, Offer, Receipt, Rejected, RequestId,
    Stopping, Timestamp,
};

use super::Hub;
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Gate {
    hub: Hub,
    world: Arc<World>,
    stamps: Mutex<VecDeque<Timestamp>>,
}

impl Gate {
    pub(crate) fn new(hub: Hub, world: Arc<World>) -> Self {
        Self {
            hub,
            world,
            stamps: Mutex::default(),
        }
    }

    fn admit(&self) -> Result<(), Rejected> {
        let now = self.world.clock.now();
        let limit = self.world.settings.qps.get();
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        while stamps.front().is_some_and(|at| now.since(*at) >= SECOND) {
            stamps.pop_front();
        }
        if stamps.len() >= limit as usize {
            return Err(Rejected::OverLimit {
                retry_after: SECOND,
                scope: "the hub".to_owned(),
                limit,
            });
        }
        stamps.push_back(now);
        Ok(())
    }
}

#[async_trait]
impl Dispatch for Gate {
    async fn try_dispatch(&self, offer: Offer) -> Result<Receipt, Rejected> {
        self.admit()?;
        self.hub.try_dispatch(offer).await
    }

    async fn try_dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        let mut answers = Vec::new();
        for offer in offers {
            answers.push(self.try_dispatch(offer).await);
        }
        answers
    }

    async fn dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        let mut answers = Vec::new();
        for offer in offers {
            while self.admit().is_err() {
                sleep(Duration::from_millis(50)).await;
            }
            answers.extend(self.hub.dispatch_all(vec![offer]).await);
        }
        answers
    }

    fn function(&self, name: &FunctionName) -> Option<Function> {
        self.hub.function(name)
    }

    async fn ended(&self, request_id: RequestId) -> Result<Option<Invocation>, Stopping> {
        self.hub.ended(request_id).await
    }
}
