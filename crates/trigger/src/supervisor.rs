//! The supervisor of all triggers: one task for each, until the hub stops.

mod task;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tripline_model::{Function, TriggerName};

use crate::context::{Ports, TriggerEnvironment};
use crate::status::StatusCell;
use crate::{AnyTrigger, TriggerState, TriggerStatus};
use task::TriggerTask;

/// A trigger to be supervised.
pub struct Supervised {
    /// Its name, unique in the hub.
    pub name: TriggerName,
    /// Its kind, for people.
    pub kind: String,
    /// The function it is for.
    pub function: Function,
    /// Whether it starts; otherwise it is paused until somebody resumes it.
    pub enabled: bool,
    /// The trigger itself.
    pub trigger: Box<dyn AnyTrigger>,
}

/// Owns every trigger: starts it, restarts it after a failure, pauses, resumes and stops it.
///
/// Before a restart it waits 1 s, and twice as long after each further failure, up to 60 s. After 60 s of running without
/// trouble it begins again with 1 s. A panic is a failure. Dropping the supervisor aborts every run.
pub struct Supervisor {
    triggers: Triggers,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// A handle to all triggers. Cheap to clone; the default one has none.
#[derive(Clone, Default)]
pub struct Triggers {
    handles: Arc<BTreeMap<TriggerName, TriggerHandle>>,
}

/// No trigger has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no trigger `{0}`")]
pub struct UnknownTrigger(
    /// The name.
    pub TriggerName,
);

/// What the API needs of one trigger.
struct TriggerHandle {
    status: Arc<StatusCell>,
    /// Whether the trigger is to be paused. Every send is a request, even if the value is the same as before.
    paused: watch::Sender<bool>,
}

// === impl Supervisor ===

impl Supervisor {
    /// Takes the triggers and starts those that are enabled.
    pub fn start(triggers: Vec<Supervised>, ports: &Ports) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut handles = BTreeMap::new();
        for supervised in triggers {
            let Supervised {
                name,
                kind,
                function,
                enabled,
                trigger,
            } = supervised;
            let clock = Arc::clone(&ports.clock);
            let status = StatusCell::new(name.clone(), kind, function.name.clone(), clock);
            let status = Arc::new(status);
            if !enabled {
                status.enter(TriggerState::Paused);
            }
            let paused = watch::Sender::new(!enabled);
            let task = TriggerTask {
                environment: Arc::new(TriggerEnvironment::new(
                    name.clone(),
                    function,
                    ports.clone(),
                    Arc::clone(&status),
                )),
                trigger: Arc::from(trigger),
                paused: paused.subscribe(),
                stop: stop.clone(),
                clock: Arc::clone(&ports.clock),
            };
            tasks.spawn(task.supervise());
            handles.insert(name, TriggerHandle { status, paused });
        }
        let handles = Arc::new(handles);
        Self {
            triggers: Triggers { handles },
            tasks,
            stop,
        }
    }

    /// A handle to the triggers; it outlives the supervisor.
    pub fn triggers(&self) -> Triggers {
        self.triggers.clone()
    }

    /// Asks every trigger to end, waits for at most `within`, then aborts the rest. Returns the names of those that were
    /// aborted.
    pub async fn stop(mut self, within: Duration) -> Vec<TriggerName> {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(within, ended).await.is_ok() {
            return Vec::new();
        }
        self.tasks.abort_all();
        let mut cut = Vec::new();
        for (name, handle) in self.triggers.handles.iter() {
            if handle.status.get().state != TriggerState::Stopped {
                handle.status.enter(TriggerState::Stopped);
                tracing::warn!(trigger = name.as_str(), "trigger did not end in time");
                cut.push(name.clone());
            }
        }
        cut
    }
}

// === impl Triggers ===

impl Triggers {
    /// How every trigger is doing, by name.
    pub fn list(&self) -> Vec<TriggerStatus> {
        self.handles
            .values()
            .map(|handle| handle.status.get())
            .collect()
    }

    /// How one trigger is doing.
    pub fn get(&self, name: &TriggerName) -> Option<TriggerStatus> {
        self.handles.get(name).map(|handle| handle.status.get())
    }

    /// Pauses a trigger until it is resumed or the hub is restarted. Returns its status once nothing of it runs any more,
    /// which takes about 30 s at most (10 s each for its run, its tasks and its notes), or once somebody resumes it in the
    /// meantime.
    ///
    /// # Errors
    /// There is no such trigger.
    pub async fn pause(&self, name: &TriggerName) -> Result<TriggerStatus, UnknownTrigger> {
        let handle = self.handle(name)?;
        handle.paused.send_replace(true);
        let at_rest =
            |state: &TriggerState| matches!(state, TriggerState::Paused | TriggerState::Stopped);
        let (mut state, mut paused) = (handle.status.watch(), handle.paused.subscribe());
        // Both senders live in the handle, so the waits cannot fail.
        tokio::select! {
            _ = state.wait_for(at_rest) => {}
            _ = paused.wait_for(|paused| !paused) => {}
        }
        Ok(handle.status.get())
    }

    /// Starts a paused trigger, or one that waits for its restart. One that runs is left alone.
    ///
    /// # Errors
    /// There is no such trigger.
    pub async fn resume(&self, name: &TriggerName) -> Result<TriggerStatus, UnknownTrigger> {
        let handle = self.handle(name)?;
        handle.paused.send_replace(false);
        let (mut state, mut paused) = (handle.status.watch(), handle.paused.subscribe());
        tokio::select! {
            _ = state.wait_for(|state| *state != TriggerState::Paused) => {}
            _ = paused.wait_for(|paused| *paused) => {}
        }
        Ok(handle.status.get())
    }

    fn handle(&self, name: &TriggerName) -> Result<&TriggerHandle, UnknownTrigger> {
        let handle = self.handles.get(name);
        handle.ok_or_else(|| UnknownTrigger(name.clone()))
    }
}

#[cfg(test)]
mod tests;
