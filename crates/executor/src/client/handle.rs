//! The handle that the hub's runtimes use.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tripline_model::RequestId;

use super::link::Link;
use super::shared::Shared;
use super::{ClientError, Run};
use crate::protocol::{Credentials, FunctionSpec, HeldRun, MAX_FRAME_BYTES, Start, StopHow};

/// Time for a start to be sent: as long as an executor that died takes to be replaced, at most.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Passes runs to executors. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

// === impl Client ===

impl Client {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Declares all functions that there are from now on, also to executors that follow.
    pub fn declare(&self, functions: Vec<FunctionSpec>) {
        self.shared.declare(functions);
    }

    /// The runs that executors hold: running, or ended and not forgotten.
    pub fn held(&self) -> Vec<HeldRun> {
        let links = self.shared.links();
        links.iter().flat_map(|link| link.table().held()).collect()
    }

    /// Starts a run at the executor of this release, waiting up to 30 s for one. Returns once the start was sent. An
    /// error means that no function code ran and none will. If the future is dropped, the run may be started or not.
    /// Until it returns, the run cannot be stopped.
    pub async fn start(&self, start: Start, data: Bytes) -> Result<Run, ClientError> {
        let unsayable = |why: &str| ClientError::Unsayable {
            run: start.run.clone(),
            why: why.to_owned(),
        };
        let Ok(id) = start.run.parse::<RequestId>() else {
            return Err(unsayable("its RequestId is none"));
        };
        if data.len() > MAX_FRAME_BYTES / 8 * 7 {
            return Err(unsayable("its event is too large"));
        }
        let by = Instant::now() + START_TIMEOUT;
        let work = async {
            let Ok(Ok(_permit)) = timeout_at(by, self.shared.starts.acquire()).await else {
                return Err(self.nobody());
            };
            loop {
                if self.shared.holder(id).is_some() {
                    return Err(unsayable("it was started before"));
                }
                let link = self.current(by).await?;
                if let Some(run) = self.start_at(&link, (id, &start, &data), by).await? {
                    return Ok(run);
                }
            }
        };
        tokio::select! {
            biased;
            started = work => started,
            () = self.shared.closed.cancelled() => Err(ClientError::Closed),
        }
    }

    /// Takes up a held run: its lines above `after`, the number of the last that is kept, and its end. `None` if no
    /// executor holds it (it is lost), or if somebody has its [`Run`].
    pub async fn attach(&self, id: RequestId, after: u64) -> Option<Run> {
        let link = self.shared.holder(id)?;
        let inbox = link.change(|table| table.attach(id, after))?;
        Some(Run::new(id, inbox))
    }

    /// Stops a run. One that nobody holds is ignored.
    pub fn stop(&self, id: RequestId, how: StopHow) {
        if let Some(link) = self.shared.holder(id) {
            link.change(|table| table.stop(id, how));
        }
    }

    /// Confirms that the lines of a run up to number `line` are kept. Without this no more than 32 messages come.
    pub fn kept(&self, id: RequestId, line: u64) {
        if let Some(link) = self.shared.holder(id) {
            link.change(|table| table.kept(id, line));
        }
    }

    /// Confirms that a run's end is durable: its executor drops what is left of it.
    pub fn forget(&self, id: RequestId) {
        if let Some(link) = self.shared.holder(id) {
            link.change(|table| table.forget(id));
        }
    }

    /// Passes new credentials of a function's role to a run.
    pub fn renew(&self, id: RequestId, credentials: Credentials) {
        if let Some(link) = self.shared.holder(id) {
            link.change(|table| table.renew(id, credentials));
        }
    }

    /// What the executor of this release can enforce, or why there is none: a sentence for people.
    pub fn level(&self) -> String {
        let current = self.shared.current.borrow();
        let level = current.as_ref().map(|link| link.level.clone());
        level.unwrap_or_else(|| format!("unknown: no executor runs ({})", self.shared.trouble()))
    }

    /// Waits for an executor that takes new runs.
    async fn current(&self, by: Instant) -> Result<Arc<Link>, ClientError> {
        let mut current = self.shared.current.subscribe();
        let found = timeout_at(by, current.wait_for(Option::is_some)).await;
        let link = found.ok().and_then(|found| found.ok()?.clone());
        link.ok_or_else(|| self.nobody())
    }

    /// Gives a run to an executor. `None` if that died before the start was sent.
    async fn start_at(
        &self,
        link: &Arc<Link>,
        (id, start, data): (RequestId, &Start, &Bytes),
        by: Instant,
    ) -> Result<Option<Run>, ClientError> {
        let (notifier, sent) = oneshot::channel();
        let taken = link.change(|table| table.start(id, start.clone(), data.clone(), notifier));
        let Some(inbox) = taken else {
            // It is about to be replaced.
            let mut current = self.shared.current.subscribe();
            let other =
                |now: &Option<Arc<Link>>| now.as_ref().is_none_or(|now| !Arc::ptr_eq(now, link));
            let changed = timeout_at(by, current.wait_for(other)).await;
            return if changed.is_ok() {
                Ok(None)
            } else {
                Err(self.nobody())
            };
        };
        let run = Run::new(id, inbox);
        match timeout_at(by, sent).await {
            Ok(Ok(Ok(()))) => Ok(Some(run)),
            Ok(Ok(Err(error))) => {
                link.change(|table| table.remove(id));
                Err(error)
            }
            Ok(Err(_)) => Ok(None),
            // A start that is being sent right now: the run shows what comes of it.
            Err(_) if link.change(|table| table.take_back(id)) => Err(self.nobody()),
            Err(_) => Ok(Some(run)),
        }
    }

    fn nobody(&self) -> ClientError {
        ClientError::NoExecutor {
            waited: START_TIMEOUT,
            why: self.shared.trouble(),
        }
    }
}
