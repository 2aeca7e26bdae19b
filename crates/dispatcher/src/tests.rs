//! The whole dispatcher over a journal in memory and a runtime that does what the event says.

mod crash;
mod damage;
mod faults;
mod life;
mod limits;
mod resume;
mod runtime;
mod stops;
mod yielding;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tripline_journal::{Journal, MemoryJournal, MemoryLogStore};
use tripline_model::{
    Clock, Dispatch, Event, Execution, Function, FunctionName, Identity, InvocationState,
    ManualClock, Offer, Receipt, Rejected, RequestId, Timestamp, TriggerName,
};

use self::runtime::FakeRuntime;
use crate::{Dispatcher, DispatcherConfig, DispatcherHandle, DispatcherParts};

const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);

/// What outlives a dispatcher, as disk and outside world do.
struct World {
    clock: Arc<ManualClock>,
    journal: Arc<MemoryJournal>,
    runtime: Arc<FakeRuntime>,
    config: DispatcherConfig,
    functions: Vec<Function>,
}

impl World {
    /// One function `f` that runs one at a time.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let journal = Arc::new(MemoryJournal::new(clock.clone()));
        Self {
            runtime: Arc::new(FakeRuntime::new(journal.clone(), clock.clone())),
            journal,
            clock,
            config: DispatcherConfig::for_tests(),
            functions: vec![function("f")],
        }
    }

    async fn start(&self) -> Dispatcher {
        self.start_over(self.journal.clone()).await
    }

    async fn start_over(&self, journal: Arc<dyn Journal>) -> Dispatcher {
        self.start_by(self.clock.clone(), journal).await
    }

    async fn start_by(&self, clock: Arc<dyn Clock>, journal: Arc<dyn Journal>) -> Dispatcher {
        let parts = DispatcherParts {
            config: self.config.clone(),
            functions: self.functions.clone(),
            journal,
            logs: Arc::new(MemoryLogStore::new()),
            runtimes: vec![self.runtime.clone()],
            clock,
            entropy: entropy(),
        };
        Dispatcher::start(parts).await.unwrap()
    }

    async fn state(&self, id: RequestId) -> InvocationState {
        self.journal.get(id).await.unwrap().unwrap().state
    }
}

/// Bytes that differ in every dispatcher of this process.
fn entropy() -> crate::Entropy {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LIVES: AtomicU64 = AtomicU64::new(0);
    let life = LIVES.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Box::new(move || {
        let mut bytes = [7; 10];
        bytes[1..9].copy_from_slice(&life);
        bytes
    })
}

fn function(name: &str) -> Function {
    Function {
        name: FunctionName::new(name).unwrap(),
        execution: Execution::Async,
        runtime: "fake",
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(1),
        concurrency: NonZeroU32::MIN,
        qps: None,
        max_queued: 100_000,
        max_event_age: Duration::from_secs(6 * 3600),
        max_result_bytes: 1024,
        max_log_bytes: 1024,
    }
}

/// An event for `f` that the runtime handles as `kind` says.
fn offer(kind: &str) -> Offer {
    Offer {
        function: FunctionName::new("f").unwrap(),
        trigger: Some(trigger("t")),
        event: Event {
            id: "e".to_owned(),
            source: "/s".to_owned(),
            kind: kind.to_owned(),
            subject: None,
            time: NOW,
            content_type: None,
            data: None,
            extensions: BTreeMap::new(),
        },
        identity: Identity::Unique,
        cursors: Vec::new(),
    }
}

fn keyed(kind: &str, key: &str) -> Offer {
    let identity = Identity::Key {
        key: key.to_owned(),
        window: Duration::from_secs(3600),
        digest: None,
    };
    Offer {
        identity,
        ..offer(kind)
    }
}

fn placed(kind: &str, position: u64) -> Offer {
    let stream = "s".to_owned();
    let identity = Identity::Position { stream, position };
    Offer {
        identity,
        ..offer(kind)
    }
}

fn trigger(name: &str) -> TriggerName {
    TriggerName::new(name).unwrap()
}

async fn accepted(handle: &DispatcherHandle, offer: Offer) -> RequestId {
    let receipt = handle.try_dispatch(offer).await.unwrap();
    receipt.request_id().unwrap()
}

/// How many answers there are of each sort.
fn tally(answers: &[Result<Receipt, Rejected>]) -> HashMap<&'static str, usize> {
    let mut tally = HashMap::new();
    for answer in answers {
        let word = match answer {
            Ok(Receipt::New(_)) => "new",
            Ok(Receipt::Known(_)) => "known",
            Ok(Receipt::Past) => "past",
            Err(rejected) => rejected.as_str(),
        };
        *tally.entry(word).or_default() += 1;
    }
    tally
}

/// Waits until something holds; a test that waits too long fails.
async fn until(what: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if what().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to be");
}
