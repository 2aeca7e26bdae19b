//! The runtime `worker`: an executor keeps instances of the function, which ask for one event after the other.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tripline_executor::client::Client;
use tripline_model::{Clock, Ending, FunctionName, RequestId};

use crate::remote::{Remote, Told};
use crate::{Credentials, EventFormat, Held, Runtime, Start, StopSignal};

/// Runs invocations in warm instances.
pub struct WorkerRuntime {
    pub(crate) remote: Remote,
}

// === impl WorkerRuntime ===

impl WorkerRuntime {
    /// The word for it in the config.
    pub const KIND: &'static str = "worker";

    /// Runs through `client`, to which the functions are [declared](Client::declare). Each gets its events in its
    /// format; one that is not in `formats` gets the data as it is.
    pub fn new(
        client: Client,
        clock: Arc<dyn Clock>,
        credentials: Option<Arc<dyn Credentials>>,
        formats: HashMap<FunctionName, EventFormat>,
    ) -> Self {
        let remote = Remote::new(Arc::new(client), clock, credentials, formats);
        Self { remote }
    }
}

#[async_trait]
impl Runtime for WorkerRuntime {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    async fn run(&self, start: Start, stop: StopSignal) -> Ending {
        self.remote.run(start, Told::default(), stop).await
    }

    fn held(&self) -> Vec<Held> {
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
