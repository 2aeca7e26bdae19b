//! A context to run a trigger in, without a hub.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_config::{Secret, SecretError, SecretRef, Secrets};
use tripline_listener::Gateway;
use tripline_model::{
    Clock, Execution, Function, FunctionName, ManualClock, Timestamp, TriggerName,
};

use super::{MemoryCursors, PATIENCE, RecordingDispatch};
use crate::context::{Ports, TriggerEnvironment};
use crate::status::StatusCell;
use crate::{Supervised, Trigger, TriggerContext, TriggerError, TriggerState, TriggerStatus};

/// Everything around one trigger: a recording hub, notes, a clock that stands still, a gateway, secrets.
pub struct TestContext {
    name: TriggerName,
    function: Function,
    dispatch: Arc<RecordingDispatch>,
    manual_clock: Arc<ManualClock>,
    clock: Arc<dyn Clock>,
    gateway: Gateway,
    secrets: HashMap<SecretRef, Secret>,
    hub_id: Arc<str>,
}

/// A trigger that runs. Dropping it aborts the run.
pub struct Run {
    task: JoinSet<Result<(), TriggerError>>,
    ended: Option<Result<(), TriggerError>>,
    status: Arc<StatusCell>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

struct FixedSecrets(HashMap<SecretRef, Secret>);

/// A function as tests need one: asynchronous, with generous limits.
pub fn test_function(name: &str) -> Function {
    Function {
        name: FunctionName::new(name).expect("the test chose a valid name"),
        execution: Execution::Async,
        runtime: "process",
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(5),
        concurrency: NonZeroU32::MIN,
        qps: None,
        max_queued: 1_000_000,
        max_event_age: Duration::from_secs(6 * 3600),
        max_result_bytes: 1 << 20,
        max_log_bytes: 1 << 20,
    }
}

// === impl TestContext ===

impl TestContext {
    /// An environment for a trigger of that name, for the function `work`. The clock stands at
    /// 2026-11-24T12:00:00Z.
    pub fn new(trigger: &str) -> Self {
        let noon = Timestamp::from_millis(1_795_521_600_000);
        let clock = Arc::new(ManualClock::at(noon));
        let dispatch = RecordingDispatch::new(Arc::new(MemoryCursors::new()));
        let function = test_function("work");
        dispatch.add_function(function.clone());
        Self {
            name: TriggerName::new(trigger).expect("the test chose a valid name"),
            function,
            dispatch: Arc::new(dispatch),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            manual_clock: clock,
            gateway: Gateway::new(),
            secrets: HashMap::new(),
            hub_id: Arc::from("00000000-0000-7000-8000-000000000001"),
        }
    }

    /// The same with another function.
    #[must_use]
    pub fn with_function(mut self, function: Function) -> Self {
        self.dispatch.add_function(function.clone());
        self.function = function;
        self
    }

    /// The same with a hub from an earlier context, which remembers: a restart of the hub.
    #[must_use]
    pub fn with_dispatch(mut self, dispatch: Arc<RecordingDispatch>) -> Self {
        dispatch.add_function(self.function.clone());
        self.dispatch = dispatch;
        self
    }

    /// The same with a clock of the test's own; [`TestContext::clock`] then moves nothing.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same with a secret.
    #[must_use]
    pub fn with_secret(mut self, reference: SecretRef, value: &str) -> Self {
        self.secrets.insert(reference, Secret::new(value));
        self
    }

    /// The trigger's name.
    pub fn name(&self) -> &TriggerName {
        &self.name
    }

    /// The hub.
    pub fn dispatch(&self) -> &Arc<RecordingDispatch> {
        &self.dispatch
    }

    /// The notes.
    pub fn cursors(&self) -> &Arc<MemoryCursors> {
        self.dispatch.cursors()
    }

    /// The clock, to move it.
    pub fn clock(&self) -> &Arc<ManualClock> {
        &self.manual_clock
    }

    /// The gateway: `gateway().router()` is an app that answers requests without a socket.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// What a [`crate::Supervisor`] is given, for tests with one.
    pub fn ports(&self) -> Ports {
        Ports {
            dispatch: self.dispatch.clone(),
            cursors: self.cursors().clone(),
            clock: Arc::clone(&self.clock),
            gateway: self.gateway.clone(),
            secrets: Arc::new(FixedSecrets(self.secrets.clone())),
            hub_id: Arc::clone(&self.hub_id),
        }
    }

    /// A context without a run, for code that needs only that.
    pub fn context(&self) -> TriggerContext {
        let environment = Arc::new(self.environment());
        TriggerContext::new(environment, CancellationToken::new(), TaskTracker::new())
    }

    /// Starts `trigger`. What is around it stays, so a second run plays the supervisor's restart.
    ///
    /// # Panics
    /// A route of the trigger conflicts with another trigger's.
    pub fn run<T: Trigger>(&self, trigger: Arc<T>) -> Run {
        for route in trigger.routes() {
            let reserved = self.gateway.reserve(&route);
            reserved.expect("the test chose routes that go together");
        }
        let environment = Arc::new(self.environment());
        let status = Arc::clone(environment.status());
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let cx = TriggerContext::new(environment, shutdown.clone(), tasks.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { trigger.run(cx).await });
        Run {
            task,
            ended: None,
            status,
            shutdown,
            tasks,
        }
    }

    /// `trigger` as a hub gives it to its [`Supervisor`](crate::Supervisor), with [`TestContext::ports`].
    pub fn supervised(&self, trigger: impl Trigger, enabled: bool) -> Supervised {
        Supervised {
            name: self.name.clone(),
            kind: "test".to_owned(),
            function: self.function.clone(),
            enabled,
            trigger: Box::new(trigger),
        }
    }

    fn environment(&self) -> TriggerEnvironment {
        let status = StatusCell::new(
            self.name.clone(),
            "test".to_owned(),
            self.function.name.clone(),
            Arc::clone(&self.clock),
        );
        TriggerEnvironment::new(
            self.name.clone(),
            self.function.clone(),
            self.ports(),
            Arc::new(status),
        )
    }
}

impl Secrets for FixedSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let known = self.0.get(reference).cloned();
        known.ok_or_else(|| SecretError::NotSet(reference.clone()))
    }
}

// === impl Run ===

impl Run {
    /// The status that the trigger reports.
    pub fn status(&self) -> TriggerStatus {
        self.status.get()
    }

    /// Waits until the trigger is in `state`.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`].
    pub async fn wait_state(&self, state: TriggerState) {
        let mut states = self.status.watch();
        let wait = states.wait_for(|now| *now == state);
        if timeout(PATIENCE, wait).await.is_err() {
            panic!(
                "the trigger is not {state} within {PATIENCE:?}: {:?}",
                self.status()
            );
        }
    }

    /// Asks the trigger to end and returns how its run ended.
    ///
    /// # Panics
    /// The run, or a task of it, does not end `within` that time, or panics.
    pub async fn stop(mut self, within: Duration) -> Result<(), TriggerError> {
        self.shutdown.cancel();
        let ended = timeout(within, self.end_of_run()).await;
        ended.unwrap_or_else(|_| {
            panic!("the trigger does not end within {within:?} of its shutdown")
        })
    }

    /// Waits until the run ends by itself and returns how it did.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`], or panics.
    pub async fn ended(mut self) -> Result<(), TriggerError> {
        let ended = timeout(PATIENCE, self.end_of_run()).await;
        ended.unwrap_or_else(|_| panic!("the trigger does not end within {PATIENCE:?}"))
    }

    /// Returns once the run has ended by itself with an error; never if it ends well.
    pub(super) async fn failed(&mut self) {
        match self.end_of_run().await {
            Err(_) => {}
            Ok(()) => panic!("the run ended by itself, without an error"),
        }
    }

    async fn end_of_run(&mut self) -> Result<(), TriggerError> {
        // Kept, because this wait may be dropped and begun again.
        if let Some(ended) = self.task.join_next().await {
            self.ended = Some(ended.expect("the trigger does not panic"));
        }
        // As the supervisor does: when the run is over, its tasks are cancelled and waited for.
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.ended.take().expect("a run ends once")
    }
}
