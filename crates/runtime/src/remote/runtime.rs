//! A kind of runtime in executors: its name, and which attributes of its event a run gets beside the data.

use async_trait::async_trait;
use tripline_model::{Ending, Event, RequestId};

use super::Remote;
use crate::attributes::Attributes;
use crate::{HeldInvocation, Runtime, Start, StopSignal};

/// Runs functions in executors, which outlive the hub.
pub struct ExecutorRuntime {
    pub(crate) kind: &'static str,
    pub(crate) attributes: fn(&Event) -> Attributes,
    pub(crate) remote: Remote,
}

#[async_trait]
impl Runtime for ExecutorRuntime {
    fn kind(&self) -> &'static str {
        self.kind
    }

    async fn run(&self, start: Start, stop: StopSignal) -> Ending {
        let attributes = (self.attributes)(&start.invocation.event);
        self.remote.run(start, attributes, stop).await
    }

    fn held(&self) -> Vec<HeldInvocation> {
        self.remote.held()
    }

    async fn resume(&self, start: Start, stop: StopSignal) -> Ending {
        self.remote.resume(start, stop).await
    }

    async fn reclaim(&self, request_id: RequestId) {
        self.remote.reclaim(request_id).await;
    }

    fn outlives_hub(&self) -> bool {
        true
    }
}
