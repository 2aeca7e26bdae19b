//! What a runtime needs of the executors: the client, or a script in tests.

use async_trait::async_trait;
use bytes::Bytes;
use tripline_executor::client::{Client, Run, RunEvent};
use tripline_executor::protocol::{self, HeldRun, StopHow};
use tripline_model::RequestId;

/// Passes runs to executors, with the methods of [`Client`].
#[async_trait]
pub(crate) trait Link: Send + Sync + 'static {
    fn held(&self) -> Vec<HeldRun>;
    /// An error means that no function code ran and none will.
    async fn start(&self, start: protocol::Start, data: Bytes) -> Result<Box<dyn Events>, String>;
    async fn attach(&self, id: RequestId, after: u64) -> Option<Box<dyn Events>>;
    fn stop(&self, id: RequestId, how: StopHow);
    fn kept(&self, id: RequestId, line: u64);
    fn forget(&self, id: RequestId);
    fn renew(&self, id: RequestId, credentials: protocol::Credentials);
}

/// The events of one run. Dropping it leaves the run alone.
#[async_trait]
pub(crate) trait Events: Send + 'static {
    /// The future may be dropped and asked for again.
    async fn next(&mut self) -> RunEvent;
}

#[async_trait]
impl Link for Client {
    fn held(&self) -> Vec<HeldRun> {
        Client::held(self)
    }

    async fn start(&self, start: protocol::Start, data: Bytes) -> Result<Box<dyn Events>, String> {
        match Client::start(self, start, data).await {
            Ok(run) => Ok(Box::new(run)),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn attach(&self, id: RequestId, after: u64) -> Option<Box<dyn Events>> {
        let run = Client::attach(self, id, after).await?;
        Some(Box::new(run))
    }

    fn stop(&self, id: RequestId, how: StopHow) {
        Client::stop(self, id, how);
    }

    fn kept(&self, id: RequestId, line: u64) {
        Client::kept(self, id, line);
    }

    fn forget(&self, id: RequestId) {
        Client::forget(self, id);
    }

    fn renew(&self, id: RequestId, credentials: protocol::Credentials) {
        Client::renew(self, id, credentials);
    }
}

#[async_trait]
impl Events for Run {
    async fn next(&mut self) -> RunEvent {
        Run::next(self).await
    }
}
