//! A runtime that does what the event's type says: `ok`, `fail`, `hang` (until killed), `polite` (until asked),
//! `held` (until released), `panic`, `refuse` (cannot be started), `clings` (its remains go away when told to).
//!
//! It can be told to outlive the hub: then it keeps its runs, and what it keeps is not touched by a crash.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tripline_journal::{Journal, MemoryJournal};
use tripline_model::{Clock, End, Ending, FunctionName, ManualClock, RequestId};
use tripline_runtime::{HeldInvocation, Runtime, Start, Stop, StopSignal};

pub(super) struct FakeRuntime {
    /// The ledger: how often each id was started. It outlives the hub.
    pub(super) starts: Mutex<HashMap<RequestId, u32>>,
    /// Ids in the order of their starts.
    pub(super) order: Mutex<Vec<RequestId>>,
    /// One permit ends one `held` run.
    pub(super) release: Arc<Semaphore>,
    /// One permit reclaims one `clings`.
    pub(super) reclaims: Semaphore,
    /// Whether runs go on without the hub.
    pub(super) outlives: AtomicBool,
    /// What it holds, if it outlives the hub.
    pub(super) runs: Mutex<BTreeMap<RequestId, FakeRun>>,
    journal: Arc<MemoryJournal>,
    clock: Arc<ManualClock>,
}

pub(super) struct FakeRun {
    pub(super) function: FunctionName,
    pub(super) kind: String,
    pub(super) ended: Option<Ending>,
}

impl FakeRuntime {
    pub(super) fn new(journal: Arc<MemoryJournal>, clock: Arc<ManualClock>) -> Self {
        Self {
            starts: Mutex::default(),
            order: Mutex::default(),
            release: Arc::new(Semaphore::new(0)),
            reclaims: Semaphore::new(0),
            outlives: AtomicBool::new(false),
            runs: Mutex::default(),
            journal,
            clock,
        }
    }

    pub(super) fn started(&self, id: RequestId) -> u32 {
        self.starts.lock().unwrap().get(&id).copied().unwrap_or(0)
    }

    /// A run as if an earlier life of the hub had started it.
    pub(super) fn hold(&self, id: RequestId, kind: &str, ended: Option<Ending>) {
        let run = FakeRun {
            function: FunctionName::new("f").unwrap(),
            kind: kind.to_owned(),
            ended,
        };
        self.runs.lock().unwrap().insert(id, run);
    }

    async fn follow(&self, kind: &str, start: Start, mut stop: StopSignal) -> Ending {
        let ended = |end, reason| Ending::new(end, self.clock.now(), reason);
        let killed = async |stop: &mut StopSignal| loop {
            if let Stop::Kill(reason) = stop.next().await {
                return ended(End::Terminated, reason);
            }
        };
        let work = async {
            match kind {
                "fail" => ended(End::Failed, "exit_code"),
                "panic" => panic!("a runtime that panics"),
                "refuse" => ended(End::Failed, "start_failed"),
                "hang" => killed(&mut stop).await,
                "polite" => {
                    stop.next().await;
                    ended(End::Succeeded, "exit_code")
                }
                "held" => tokio::select! {
                    permit = self.release.acquire() => {
                        permit.unwrap().forget();
                        ended(End::Succeeded, "exit_code")
                    }
                    ending = killed(&mut stop) => ending,
                },
                _ => ended(End::Succeeded, "exit_code"),
            }
        };
        let late = ended(End::TimedOut, "timeout");
        let timeout = start.function.timeout;
        tokio::time::timeout(timeout, work).await.unwrap_or(late)
    }

    fn note_end(&self, id: RequestId, ending: &Ending) {
        if let Some(run) = self.runs.lock().unwrap().get_mut(&id) {
            run.ended = Some(ending.clone());
        }
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn run(&self, start: Start, stop: StopSignal) -> Ending {
        let id = start.invocation.request_id;
        let kind = start.invocation.event.kind.clone();
        *self.starts.lock().unwrap().entry(id).or_default() += 1;
        self.order.lock().unwrap().push(id);
        if self.outlives.load(Ordering::SeqCst) {
            self.hold(id, &kind, None);
        }
        tokio::task::yield_now().await;
        let ending = self.follow(&kind, start, stop).await;
        self.note_end(id, &ending);
        ending
    }

    fn held(&self) -> Vec<HeldInvocation> {
        let runs = self.runs.lock().unwrap();
        let held = runs.iter().map(|(id, run)| HeldInvocation {
            request_id: *id,
            function: run.function.clone(),
            ended: run.ended.is_some(),
        });
        held.collect()
    }

    async fn resume(&self, start: Start, stop: StopSignal) -> Ending {
        let id = start.invocation.request_id;
        let (kind, ended) = {
            let runs = self.runs.lock().unwrap();
            let run = runs.get(&id).expect("only what is held is resumed");
            (run.kind.clone(), run.ended.clone())
        };
        tokio::task::yield_now().await;
        match ended {
            Some(ending) => ending,
            None => {
                let ending = self.follow(&kind, start, stop).await;
                self.note_end(id, &ending);
                ending
            }
        }
    }

    async fn reclaim(&self, request_id: RequestId) {
        let record = Journal::get(self.journal.as_ref(), request_id).await;
        if let Ok(Some(record)) = record {
            assert!(
                record.state.is_end(),
                "let go of before its end was written"
            );
            let kind = match self.runs.lock().unwrap().get(&request_id) {
                Some(run) => run.kind.clone(),
                None => record.event.kind,
            };
            if kind == "clings" {
                self.reclaims.acquire().await.unwrap().forget();
            }
        }
        self.runs.lock().unwrap().remove(&request_id);
    }

    fn outlives_hub(&self) -> bool {
        self.outlives.load(Ordering::SeqCst)
    }
}
