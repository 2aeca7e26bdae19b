//! What the API needs of the dispatcher beyond taking events in.

use async_trait::async_trait;
use tripline_dispatcher::{DispatcherHandle, FunctionStatus, TerminateError, TerminateOutcome};
use tripline_model::{Invocation, RequestId};

/// Stops invocations and lists functions.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Every function and what it has to do, by name.
    fn functions(&self) -> Vec<FunctionStatus>;

    /// Whether an invocation has ended and something of it is still alive.
    fn reclaim_pending(&self, id: RequestId) -> bool;

    /// Waits until the start of an invocation, or its end without one, is durable, and shows it then. `None` if there
    /// is no such invocation, or the hub stops before.
    async fn begun(&self, id: RequestId) -> Option<Invocation>;

    /// Stops an invocation; with `grace`, only asks it to stop.
    ///
    /// # Errors
    /// There is none, it is over, or the journal failed.
    async fn terminate(
        &self,
        id: RequestId,
        grace: bool,
    ) -> Result<TerminateOutcome, TerminateError>;
}

#[async_trait]
impl Control for DispatcherHandle {
    fn functions(&self) -> Vec<FunctionStatus> {
        DispatcherHandle::functions(self)
    }

    fn reclaim_pending(&self, id: RequestId) -> bool {
        DispatcherHandle::reclaim_pending(self, id)
    }

    async fn begun(&self, id: RequestId) -> Option<Invocation> {
        DispatcherHandle::begun(self, id).await
    }

    async fn terminate(
        &self,
        id: RequestId,
        grace: bool,
    ) -> Result<TerminateOutcome, TerminateError> {
        DispatcherHandle::terminate(self, id, grace).await
    }
}
