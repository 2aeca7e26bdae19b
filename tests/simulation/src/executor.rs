//! The runtimes of a simulated hub: `held`, whose runs an executor keeps while the hub is away, and `direct`, whose
//! runs end with the hub.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tripline_model::{Clock, End, Ending, RequestId};
use tripline_runtime::{HeldInvocation, Runtime, Start, Stop, StopSignal};

use crate::check::RUN;
use crate::fate::Effect;
use crate::history::{data, function_name};
use crate::script::Kind;
use crate::world::World;

/// One of the two.
pub(crate) struct SimRuntime {
    world: Arc<World>,
    outlives: bool,
    /// The executor was killed.
    died: Notify,
}

impl SimRuntime {
    pub(crate) fn held(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: world.clone(),
            outlives: true,
            died: Notify::new(),
        })
    }

    pub(crate) fn direct(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: world.clone(),
            outlives: false,
            died: Notify::new(),
        })
    }

    /// The executor is killed, with all that it runs.
    pub(crate) fn die(&self) {
        self.world.ledger().executor_dies();
        self.died.notify_waiters();
    }

    /// Whether what is asked for is what was offered.
    fn check(&self, start: &Start) -> Option<(usize, Kind)> {
        let invocation = &start.invocation;
        let number: usize = invocation.event.id.parse().ok()?;
        let history = self.world.history();
        let occurrence = history.occurrences.get(number)?;
        let same = invocation.event.data.as_ref() == Some(&data(number))
            && invocation.function.as_str() == occurrence.function
            && start.function.name == invocation.function;
        same.then_some((number, occurrence.kind))
    }

    /// Waits until the run is over, one way or another.
    async fn follow(&self, id: RequestId, timeout: Duration, mut stop: StopSignal) -> Ending {
        let Some((kind, left)) = self.work(id) else {
            return Ending::new(End::Lost, self.world.clock.now(), "executor_died");
        };
        let died = self.died.notified();
        let began = Instant::now();
        let ended = |end, reason: &str| Ending::new(end, self.world.clock.now(), reason);
        let stopped = async {
            loop {
                match stop.next().await {
                    Stop::Kill(reason) => return ended(End::Terminated, reason),
                    Stop::Graceful if kind == Kind::Polite => {
                        return ended(End::Succeeded, "exit_code");
                    }
                    Stop::Graceful => {}
                }
            }
        };
        let by_itself = async {
            match left {
                Duration::MAX => std::future::pending().await,
                left => sleep(left).await,
            }
        };
        let ending = tokio::select! {
            biased;
            () = died => return ended(End::Lost, "executor_died"),
            ending = stopped => ending,
            () = by_itself => kind.ending(self.world.clock.now()),
            () = sleep(timeout) => ended(End::TimedOut, "timeout"),
        };
        let worked = began.elapsed();
        if let Some(entry) = self.world.ledger().runs.get_mut(&id) {
            entry.left = entry.left.saturating_sub(worked);
        }
        self.world.fate.pass(Effect::Over(id)).await;
        self.world.ledger().end(id, &ending);
        ending
    }

    /// What a run that is there does, and how long.
    fn work(&self, id: RequestId) -> Option<(Kind, Duration)> {
        let ledger = self.world.ledger();
        let entry = ledger.runs.get(&id).filter(|entry| entry.held);
        entry.map(|entry| (entry.kind, entry.left))
    }
}

#[async_trait]
impl Runtime for SimRuntime {
    fn kind(&self) -> &'static str {
        if self.outlives { "held" } else { "direct" }
    }

    async fn run(&self, start: Start, stop: StopSignal) -> Ending {
        let id = start.invocation.request_id;
        let Some((number, kind)) = self.check(&start) else {
            self.world
                .wrong(RUN, &format!("{id} is started with what nobody offered"));
            return Ending::new(End::Failed, self.world.clock.now(), "start_failed");
        };
        self.world.fate.pass(Effect::Run(id)).await;
        if kind == Kind::Refused {
            return Ending::new(End::Failed, self.world.clock.now(), "start_failed");
        }
        let function = start.function.name.as_str();
        self.world.ledger().start(id, function, number, kind);
        let ending = self.follow(id, start.function.timeout, stop).await;
        self.world.fate.pass(Effect::Told(id)).await;
        ending
    }

    fn held(&self) -> Vec<HeldInvocation> {
        if !self.outlives {
            return Vec::new();
        }
        let ledger = self.world.ledger();
        let held = ledger
            .runs
            .iter()
            .filter(|(_, entry)| entry.held && entry.function == "kept");
        held.map(|(id, entry)| HeldInvocation {
            request_id: *id,
            function: function_name(&entry.function),
            ended: entry.over.is_some(),
        })
        .collect()
    }

    async fn resume(&self, start: Start, stop: StopSignal) -> Ending {
        let id = start.invocation.request_id;
        let over = {
            let ledger = self.world.ledger();
            let entry = ledger.runs.get(&id).filter(|entry| entry.held);
            entry.and_then(|entry| entry.over.clone())
        };
        let ending = match over {
            Some(ending) => ending,
            None => self.follow(id, start.function.timeout, stop).await,
        };
        self.world.fate.pass(Effect::Told(id)).await;
        ending
    }

    async fn reclaim(&self, id: RequestId) {
        self.world.fate.pass(Effect::Reclaim(id)).await;
        self.world.ledger().reclaim(id);
    }

    fn outlives_hub(&self) -> bool {
        self.outlives
    }
}
