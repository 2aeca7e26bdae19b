//! The two traits that every kind of trigger implements, and their object-safe form.

use std::future::Future;
use std::pin::Pin;

use tripline_config::{SecretRef, Secrets, Table};
use tripline_listener::Route;
use tripline_model::TriggerName;

use crate::{TriggerContext, TriggerError};

/// A kind of trigger, such as `kafka`.
pub trait TriggerKind: Send + Sync + 'static {
    /// The value of `kind = "..."` in the config.
    const NAME: &'static str;

    /// The triggers of this kind.
    type Trigger: Trigger;

    /// Reads and checks a trigger's table; `kind`, `function`, `qps` and `enabled` are taken already. No I/O: the
    /// same check runs on machines that reach nothing. `None`: what is wrong was recorded in the table.
    fn build(&self, name: &TriggerName, table: &mut Table<'_>) -> Option<Self::Trigger>;
}

/// One configured trigger.
pub trait Trigger: Send + Sync + 'static {
    /// Gateway routes that it answers. They are reserved for it while the hub runs: while the trigger does not run, their
    /// callers get 503. Two triggers with conflicting routes are a config error.
    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }

    /// The largest body that it takes at the gateway, in bytes. `None`: not stated.
    fn max_body(&self) -> Option<u64> {
        None
    }

    /// Secrets that it will ask for, so that the hub refuses to start without them.
    fn secrets(&self) -> Vec<SecretRef> {
        Vec::new()
    }

    /// Checks that its source can be reached with its credentials, and returns what was found. It takes in and changes
    /// nothing. `None`: there is no source to reach. The caller limits the time.
    fn probe(
        &self,
        _secrets: &dyn Secrets,
    ) -> impl Future<Output = Result<Option<String>, TriggerError>> + Send {
        async { Ok(None) }
    }

    /// Runs until `cx.shutdown()` is cancelled, then soon returns `Ok`; or returns what went wrong. It does not restart
    /// itself: the supervisor calls `run` again, on the same value.
    fn run(&self, cx: TriggerContext) -> impl Future<Output = Result<(), TriggerError>> + Send;

    /// Notes on disk what the next run must know about a pause, even if the hub is restarted before that run. Called when
    /// the trigger was paused and its run is over, and at the start of the hub if it is not enabled.
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

/// A trigger's check of its source.
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
