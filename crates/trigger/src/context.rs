//! What a trigger can use of the hub.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_config::{Secret, SecretRef, Secrets};
use tripline_listener::Gateway;
use tripline_model::{Clock, Cursors, Dispatch, Event, Function, Identity, Offer, TriggerName};

use crate::counting::Counting;
use crate::status::StatusCell;
use crate::{FactValue, TriggerError};

/// The parts of the hub that triggers are given.
#[derive(Clone)]
pub struct Ports {
    /// Where events are offered.
    pub dispatch: Arc<dyn Dispatch>,
    /// Triggers' durable notes.
    pub cursors: Arc<dyn Cursors>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Where push triggers mount their handlers; their routes are reserved there already.
    pub gateway: Gateway,
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
    /// Identifies this hub's data for ever: UUID text.
    pub hub_id: Arc<str>,
}

/// What a trigger can use of the hub. Each run gets its own; clones share it.
#[derive(Clone)]
pub struct TriggerContext {
    environment: Arc<TriggerEnvironment>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// The part of a trigger's context that all its runs share.
pub(crate) struct TriggerEnvironment {
    name: TriggerName,
    function: Function,
    ports: Ports,
    status: Arc<StatusCell>,
}

// === impl TriggerEnvironment ===

impl TriggerEnvironment {
    pub(crate) fn new(
        name: TriggerName,
        function: Function,
        ports: Ports,
        status: Arc<StatusCell>,
    ) -> Self {
        let counting = Counting {
            inner: ports.dispatch,
            status: Arc::clone(&status),
        };
        let dispatch = Arc::new(counting);
        Self {
            name,
            function,
            ports: Ports { dispatch, ..ports },
            status,
        }
    }

    pub(crate) fn name(&self) -> &TriggerName {
        &self.name
    }

    pub(crate) fn status(&self) -> &Arc<StatusCell> {
        &self.status
    }
}

// === impl TriggerContext ===

impl TriggerContext {
    pub(crate) fn new(
        environment: Arc<TriggerEnvironment>,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            environment,
            shutdown,
            tasks,
        }
    }

    /// The trigger's name.
    pub fn name(&self) -> &TriggerName {
        &self.environment.name
    }

    /// The function that its events are for.
    pub fn function(&self) -> &Function {
        &self.environment.function
    }

    /// An offer of `event` from this trigger to its function. Put notes that belong to the event into `offer.cursors`:
    /// they are written in the transaction that accepts it.
    pub fn offer(&self, event: Event, identity: Identity) -> Offer {
        Offer {
            function: self.environment.function.name.clone(),
            trigger: Some(self.environment.name.clone()),
            event,
            identity,
            cursors: Vec::new(),
        }
    }

    /// Where to offer events. A receipt means that the event is on disk; without one it is not, except after
    /// `Rejected::Unknown`.
    pub fn dispatch(&self) -> &Arc<dyn Dispatch> {
        &self.environment.ports.dispatch
    }

    /// The trigger's durable notes.
    pub fn cursors(&self) -> &Arc<dyn Cursors> {
        &self.environment.ports.cursors
    }

    /// Wall time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.environment.ports.clock
    }

    /// Where to mount handlers: on the routes that [`crate::Trigger::routes`] returned, and on no others.
    pub fn gateway(&self) -> &Gateway {
        &self.environment.ports.gateway
    }

    /// A secret's value: of one of those that [`crate::Trigger::secrets`] returned.
    ///
    /// # Errors
    /// It is not set or cannot be read; the message names where it is, never the value.
    pub fn secret(&self, reference: &SecretRef) -> Result<Secret, TriggerError> {
        let resolved = self.environment.ports.secrets.resolve(reference);
        resolved.map_err(|error| TriggerError::new("a secret cannot be had").caused_by(error))
    }

    /// Cancelled when the run is to end: the hub stops, or somebody paused the trigger.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// For tasks of the trigger. They must end when [`TriggerContext::shutdown`] is cancelled. The supervisor cancels
    /// that whenever the run ends, and waits for the tasks.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Reports that the source is there and events can come in. Clears trouble.
    pub fn ready(&self) {
        self.environment.status.ready();
    }

    /// Reports that something is wrong with the source while the trigger keeps trying by itself.
    /// [`TriggerContext::ready`] clears it.
    pub fn trouble(&self, what: impl Into<String>) {
        self.environment.status.trouble(&what.into());
    }

    /// Reports something about the trigger, for people: `lag`, `next_fire`. It is shown until it is reported anew or the
    /// run ends: nothing old is shown of a trigger that does not run.
    pub fn fact(&self, name: &'static str, value: impl Into<FactValue>) {
        self.environment.status.fact(name, value.into());
    }

    /// Removes a fact that is not known any more.
    pub fn no_fact(&self, name: &'static str) {
        self.environment.status.no_fact(name);
    }

    /// Identifies this hub's data for ever (UUID text): for default consumer groups and the like.
    pub fn hub_id(&self) -> &str {
        &self.environment.ports.hub_id
    }
}
