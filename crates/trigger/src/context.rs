//! All that a trigger sees of the hub.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_config::{Secret, SecretRef, Secrets};
use tripline_listener::Gateway;
use tripline_model::{Clock, Cursors, Dispatch, Event, Function, Identity, Offer, TriggerName};

use crate::counting::Counting;
use crate::status::Board;
use crate::{FactValue, TriggerError};

/// The parts of the hub that triggers are given.
#[derive(Clone)]
pub struct Ports {
    /// The way in for events.
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

/// All that a trigger sees of the hub. Each run gets its own; clones share it.
#[derive(Clone)]
pub struct TriggerContext {
    seat: Arc<Seat>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// What stays the same from run to run.
pub(crate) struct Seat {
    name: TriggerName,
    function: Function,
    ports: Ports,
    board: Arc<Board>,
}

// === impl Seat ===

impl Seat {
    pub(crate) fn new(
        name: TriggerName,
        function: Function,
        ports: Ports,
        board: Arc<Board>,
    ) -> Self {
        let counting = Counting {
            inner: ports.dispatch,
            board: Arc::clone(&board),
        };
        let dispatch = Arc::new(counting);
        Self {
            name,
            function,
            ports: Ports { dispatch, ..ports },
            board,
        }
    }

    pub(crate) fn name(&self) -> &TriggerName {
        &self.name
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }
}

// === impl TriggerContext ===

impl TriggerContext {
    pub(crate) fn new(seat: Arc<Seat>, shutdown: CancellationToken, tasks: TaskTracker) -> Self {
        Self {
            seat,
            shutdown,
            tasks,
        }
    }

    /// The trigger's name.
    pub fn name(&self) -> &TriggerName {
        &self.seat.name
    }

    /// The function that its events are for.
    pub fn function(&self) -> &Function {
        &self.seat.function
    }

    /// An offer of `event` from this trigger to its function. Notes that belong to the event go into
    /// `offer.cursors` and are written in the transaction that accepts it.
    pub fn offer(&self, event: Event, identity: Identity) -> Offer {
        Offer {
            function: self.seat.function.name.clone(),
            trigger: Some(self.seat.name.clone()),
            event,
            identity,
            cursors: Vec::new(),
        }
    }

    /// The way in. A receipt means that the event is on disk; without one nothing is, except after
    /// `Rejected::Unknown`.
    pub fn dispatch(&self) -> &Arc<dyn Dispatch> {
        &self.seat.ports.dispatch
    }

    /// The trigger's durable notes.
    pub fn cursors(&self) -> &Arc<dyn Cursors> {
        &self.seat.ports.cursors
    }

    /// Wall time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.seat.ports.clock
    }

    /// Where to mount handlers: on the routes that [`crate::Trigger::routes`] told, and on no others.
    pub fn gateway(&self) -> &Gateway {
        &self.seat.ports.gateway
    }

    /// A secret's value: one of those that [`crate::Trigger::secrets`] told.
    ///
    /// # Errors
    /// It is not set or cannot be read; the message names the place, never the value.
    pub fn secret(&self, reference: &SecretRef) -> Result<Secret, TriggerError> {
        let resolved = self.seat.ports.secrets.resolve(reference);
        resolved.map_err(|error| TriggerError::new("a secret cannot be had").caused_by(error))
    }

    /// Cancelled when the run is to end: the hub stops, or somebody paused the trigger.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// For tasks of the trigger. They must end when [`TriggerContext::shutdown`] is cancelled; the supervisor cancels
    /// it when the run ends, however it ends, and waits for them.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Says that the source is there and events come in. Clears trouble.
    pub fn ready(&self) {
        self.seat.board.ready();
    }

    /// Says that the source gives trouble and the trigger keeps trying by itself. [`TriggerContext::ready`] ends it.
    pub fn trouble(&self, what: impl Into<String>) {
        self.seat.board.trouble(&what.into());
    }

    /// Tells something about the trigger, for people: `lag`, `next_fire`. Stays until told anew, or until the run
    /// ends: nothing old is shown of a trigger that does not run.
    pub fn fact(&self, name: &'static str, value: impl Into<FactValue>) {
        self.seat.board.fact(name, value.into());
    }

    /// Takes a fact back that is not known any more.
    pub fn no_fact(&self, name: &'static str) {
        self.seat.board.no_fact(name);
    }

    /// Identifies this hub's data for ever (UUID text): for default consumer groups and the like.
    pub fn hub_id(&self) -> &str {
        &self.seat.ports.hub_id
    }
}
