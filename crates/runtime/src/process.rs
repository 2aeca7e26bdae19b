//! The runtime `process`: an executor starts a new process for each invocation. The event's attributes are in its
//! environment, the event or its data on stdin; the result is what it writes to stdout.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tripline_executor::client::Client;
use tripline_model::{Clock, Ending, FunctionName, RequestId};

use crate::attributes::Attributes;
use crate::remote::{Remote, Told};
use crate::{Credentials, EventFormat, Held, Runtime, Start, StopSignal};

/// Runs each invocation as a process of its own.
pub struct ProcessRuntime {
    pub(crate) remote: Remote,
}

// === impl ProcessRuntime ===

impl ProcessRuntime {
    /// The word for it in the config.
    pub const KIND: &'static str = "process";

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
impl Runtime for ProcessRuntime {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    async fn run(&self, start: Start, stop: StopSignal) -> Ending {
        let Attributes { variables, remarks } = Attributes::of(&start.invocation.event);
        let told = Told { variables, remarks };
        self.remote.run(start, told, stop).await
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
