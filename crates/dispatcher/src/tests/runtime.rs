//! A runtime that does what the event's type says: `ok`, `fail`, `hang` (until killed), `polite` (until asked),
//! `held` (until released), `panic`, `refuse` (cannot be started).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};
use tripline_model::RequestId;
use tripline_runtime::{Exit, Instance, Runtime, Start, StartError};

pub(super) struct FakeRuntime {
    /// The ledger: how often each id was started. It outlives the hub.
    pub(super) starts: Mutex<HashMap<RequestId, u32>>,
    /// Ids in the order of their starts.
    pub(super) order: Mutex<Vec<RequestId>>,
    /// One permit ends one `held` run.
    pub(super) release: Arc<Semaphore>,
}

struct FakeInstance {
    kind: String,
    release: Arc<Semaphore>,
    /// 1 after a polite request, 2 after a kill.
    asked: watch::Sender<u8>,
    exit: Exit,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        Self {
            starts: Mutex::default(),
            order: Mutex::default(),
            release: Arc::new(Semaphore::new(0)),
        }
    }
}

impl FakeRuntime {
    pub(super) fn started(&self, id: RequestId) -> u32 {
        self.starts.lock().unwrap().get(&id).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn start(&self, start: Start) -> Result<Box<dyn Instance>, StartError> {
        let id = start.invocation.request_id;
        *self.starts.lock().unwrap().entry(id).or_default() += 1;
        self.order.lock().unwrap().push(id);
        tokio::task::yield_now().await;
        if start.invocation.event.kind == "refuse" {
            return Err(StartError::NoProgram("nothing".to_owned()));
        }
        Ok(Box::new(FakeInstance {
            kind: start.invocation.event.kind,
            release: self.release.clone(),
            asked: watch::Sender::new(0),
            exit: Exit::default(),
        }))
    }
}

#[async_trait]
impl Instance for FakeInstance {
    fn terminate(&self) {
        self.asked.send_modify(|asked| *asked = (*asked).max(1));
    }

    fn kill(&self) {
        self.asked.send_replace(2);
    }

    async fn wait(&mut self) {
        let mut asked = self.asked.subscribe();
        let (code, signal) = match self.kind.as_str() {
            "fail" => (Some(3), None),
            "panic" => panic!("a runtime that panics"),
            "hang" => {
                let _ = asked.wait_for(|asked| *asked >= 2).await;
                (None, Some(9))
            }
            "polite" => {
                let _ = asked.wait_for(|asked| *asked >= 1).await;
                (Some(0), None)
            }
            "held" => {
                self.release.acquire().await.unwrap().forget();
                (Some(0), None)
            }
            _ => (Some(0), None),
        };
        self.exit = Exit {
            code,
            signal,
            ..Exit::default()
        };
    }

    async fn reclaim(&mut self) -> Exit {
        std::mem::take(&mut self.exit)
    }
}
