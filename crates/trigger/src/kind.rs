//! The two traits that every kind of trigger implements, and the one that hides which kind it is.

use std::future::Future;
use std::pin::Pin;

use tripline_config::{SecretRef, Secrets, Table};
use tripline_listener::Route;
use tripline_model::TriggerName;

use crate::{TriggerContext, TriggerError};

/// A kind of trigger, such as `kafka`.
pub trait TriggerKind: Send + Sync + 'static {
    /// What `kind = "..."` says in the config.
    const NAME: &'static str;

    /// What it makes.
    type Trigger: Trigger;

    /// Reads and checks a trigger's table; `kind`, `function`, `qps` and `enabled` are taken already. No I/O: the
    /// same check runs on machines that reach nothing. `None`: what is wrong was recorded in the table.
    fn build(&self, name: &TriggerName, table: &mut Table<'_>) -> Option<Self::Trigger>;
}

/// One configured trigger.
pub trait Trigger: Send + Sync + 'static {
    /// Gateway routes that it answers. They are its own from the hub's start to its end: while it does not run, their
    /// callers hear 503. Two triggers with conflicting routes are a config error.
    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }

    /// The largest body that it takes at the gateway, in bytes. `None`: it says nothing about that.
    fn max_body(&self) -> Option<u64> {
        None
    }

    /// Secrets that it will ask for, so that the hub refuses to start without them.
    fn secrets(&self) -> Vec<SecretRef> {
        Vec::new()
    }

    /// Tries whether its source can be reached with its credentials, and says what was found; nothing is taken in or
    /// changed. `None`: there is nothing to reach. Whoever asks bounds the time.
    fn probe(
        &self,
        _secrets: &dyn Secrets,
    ) -> impl Future<Output = Result<Option<String>, TriggerError>> + Send {
        async { Ok(None) }
    }

    /// Runs until `cx.shutdown()` is cancelled, then ends soon with `Ok`; or ends with what went wrong. It does not
    /// start again by itself: the supervisor calls `run` again, on the same value.
    fn run(&self, cx: TriggerContext) -> impl Future<Output = Result<(), TriggerError>> + Send;

    /// Notes on disk what the next run must know of a pause, whether the hub is started again before it or not. Called
    /// when somebody paused it and its run is over, and at a start of the hub if it is not enabled.
    fn paused(&self, _cx: TriggerContext) -> impl Future<Output = Result<(), TriggerError>> + Send {
        async { Ok(()) }
    }
}

/// A trigger of any kind. Implemented for every [`Trigger`], and by nothing else.
pub trait AnyTrigger: Send + Sync + 'static {
    /// See [`Trigger::routes`].
    fn routes(&self) -> Vec<Route>;

    /// See [`Trigger::max_body`].
    fn max_body(&self) -> Option<u64>;

    /// See [`Trigger::secrets`].
    fn secrets(&self) -> Vec<SecretRef>;

    /// See [`Trigger::probe`].
    fn probe<'t>(&'t self, secrets: &'t dyn Secrets) -> Probing<'t>;

    /// See [`Trigger::run`].
    fn run(&self, cx: TriggerContext) -> Running<'_>;

    /// See [`Trigger::paused`].
    fn paused(&self, cx: TriggerContext) -> Running<'_>;
}

/// A trigger's run, or its notes about a pause.
type Running<'t> = Pin<Box<dyn Future<Output = Result<(), TriggerError>> + Send + 't>>;

/// A trigger's look at its source.
type Probing<'t> = Pin<Box<dyn Future<Output = Result<Option<String>, TriggerError>> + Send + 't>>;

impl<T: Trigger> AnyTrigger for T {
    fn routes(&self) -> Vec<Route> {
        Trigger::routes(self)
    }

    fn max_body(&self) -> Option<u64> {
        Trigger::max_body(self)
    }

    fn secrets(&self) -> Vec<SecretRef> {
        Trigger::secrets(self)
    }

    fn probe<'t>(&'t self, secrets: &'t dyn Secrets) -> Probing<'t> {
        Box::pin(Trigger::probe(self, secrets))
    }

    fn run(&self, cx: TriggerContext) -> Running<'_> {
        Box::pin(Trigger::run(self, cx))
    }

    fn paused(&self, cx: TriggerContext) -> Running<'_> {
        Box::pin(Trigger::paused(self, cx))
    }
}
