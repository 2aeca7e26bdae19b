//! A [`Dispatch`] that counts for one trigger.

use std::sync::Arc;

use async_trait::async_trait;
use tripline_model::{
    Dispatch, Function, FunctionName, Invocation, Offer, Receipt, Rejected, RequestId, Stopping,
};

use crate::status::StatusCell;

/// Passes everything on, and counts receipts and refusals in the trigger's status.
pub(crate) struct Counting {
    pub(crate) inner: Arc<dyn Dispatch>,
    pub(crate) status: Arc<StatusCell>,
}

// === impl Counting ===

impl Counting {
    fn count(&self, answers: &[Result<Receipt, Rejected>]) {
        let (mut accepted, mut rejected) = (0, 0);
        for answer in answers {
            match answer {
                Ok(Receipt::New(_)) => accepted += 1,
                Ok(Receipt::Known(_) | Receipt::Past) => {}
                Err(_) => rejected += 1,
            }
        }
        self.status.count(accepted, rejected);
    }
}

#[async_trait]
impl Dispatch for Counting {
    async fn try_dispatch(&self, offer: Offer) -> Result<Receipt, Rejected> {
        let answer = self.inner.try_dispatch(offer).await;
        self.count(std::slice::from_ref(&answer));
        answer
    }

    async fn try_dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        let answers = self.inner.try_dispatch_all(offers).await;
        self.count(&answers);
        answers
    }

    async fn dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        let answers = self.inner.dispatch_all(offers).await;
        self.count(&answers);
        answers
    }

    fn function(&self, name: &FunctionName) -> Option<Function> {
        self.inner.function(name)
    }

    async fn ended(&self, request_id: RequestId) -> Result<Option<Invocation>, Stopping> {
        self.inner.ended(request_id).await
    }
}
