//! Functions that are somewhere else: each run is one POST of a CloudEvent in binary form.
//!
//! | what happens | end | reason |
//! |---|---|---|
//! | the target answers 2xx | succeeded | `http_status` |
//! | it answers anything else; redirects are not followed | failed | `http_status` |
//! | no connection: name, address, refusal, TLS, 10 s | failed, no function code ran | `start_failed` |
//! | the request went out, and no whole answer came back | lost | `no_answer` |
//! | no connection, and the function's timeout is over | timed_out, no function code ran | `not_started` |
//! | no whole answer within the function's timeout | timed_out | `no_answer` |
//! | somebody stops it with force before there is a connection | terminated, no function code ran | `not_started` |
//! | somebody stops it with force later | terminated | `no_answer` |
//!
//! With `no_answer` nobody knows whether function code ran.
//!
//! Every run has a connection of its own and sends its request once: no pool, no retry, no redirect, no proxy, so that
//! nothing can send it again. The hub cannot stop a target, it can only hang up; a graceful stop changes nothing.
//!
//! Beside the event's `ce-` headers the target gets `tripline-request-id`, `tripline-function` and
//! `tripline-deadline-ms` (milliseconds since 1970, UTC), and, where there is a trace, W3C's `traceparent`.

mod client;
mod connecting;
mod exchange;
mod prepared;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use tripline_executor::protocol::Value;
use tripline_model::{Clock, End, Ending, FunctionName, NO_ANSWER, NOT_STARTED};

use crate::{Runtime, Start, Stop, StopSignal};
use client::{Clients, SystemLookup};
use connecting::Connecting;
use prepared::Prepared;

/// Where a function is.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    /// Where its events are posted to: `http` or `https`, without a user.
    pub url: http::Uri,
    /// Whether addresses of this machine and of private networks may be reached.
    pub allow_private: bool,
    /// Further request headers; those that the hub sets itself win.
    pub headers: Vec<(String, Value)>,
}

/// Why there is no runtime. Never says a header's value.
#[derive(Debug, thiserror::Error)]
pub enum HttpTargetError {
    /// The URL cannot be posted to.
    #[error("function `{0}`: its URL is not one to post to")]
    Url(FunctionName),
    /// The header cannot be sent.
    #[error(
        "function `{function}`: the header {name:?} cannot be sent: its name or its value holds what a header cannot"
    )]
    Header {
        /// Whose.
        function: FunctionName,
        /// Its name.
        name: String,
    },
    /// TLS cannot be set up: mostly there are no certificates of authorities on this machine.
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
}

/// Posts events to functions that are somewhere else.
pub struct HttpRuntime {
    targets: HashMap<FunctionName, Prepared>,
    clients: Clients,
    clock: Arc<dyn Clock>,
    /// The share of traces that is recorded; `None` without traces.
    traces: Option<f64>,
}

// === impl HttpRuntime ===

impl HttpRuntime {
    /// The word for it in the config.
    pub const KIND: &'static str = "http";

    /// A runtime for these functions. Installs the process's TLS provider, unless there is one.
    pub fn new(
        targets: HashMap<FunctionName, HttpTarget>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpTargetError> {
        Self::with_clients(targets, clock, Clients::new(Arc::new(SystemLookup))?)
    }

    fn with_clients(
        targets: HashMap<FunctionName, HttpTarget>,
        clock: Arc<dyn Clock>,
        clients: Clients,
    ) -> Result<Self, HttpTargetError> {
        let prepare = |(name, target)| {
            let prepared = Prepared::of(&name, target)?;
            Ok((name, prepared))
        };
        let targets = targets.into_iter().map(prepare);
        Ok(Self {
            targets: targets.collect::<Result<_, HttpTargetError>>()?,
            clients,
            clock,
            traces: None,
        })
    }

    /// Tells targets where their runs stand in traces, of which `share` are recorded.
    #[must_use]
    pub fn traced(self, share: Option<f64>) -> Self {
        Self {
            traces: share,
            ..self
        }
    }

    async fn post(&self, start: &Start, stop: &mut StopSignal) -> Ending {
        let now = || self.clock.now();
        let Some(target) = self.targets.get(&start.function.name) else {
            return Ending::new(End::Failed, now(), "start_failed")
                .because("the function has no target");
        };
        let client = self.clients.of(target.allow_private);
        let timeout = start.function.timeout;
        let connecting = Connecting::default();
        let exchange = exchange::exchange(client, target, start, self.traces);
        let (end, why) = tokio::select! {
            biased;
            outcome = connecting.watch(exchange) => return outcome.ending(now()),
            reason = killed(stop) => (End::Terminated, format!("{reason}: the hub hung up")),
            () = sleep(timeout) => {
                let why = format!("no answer within the timeout of {timeout:?}");
                (End::TimedOut, why)
            }
        };
        let (reason, what) = if connecting.goes_on() {
            (NOT_STARTED, "nothing was sent, as there was no connection")
        } else {
            (NO_ANSWER, "the target may still be working")
        };
        Ending::new(end, now(), reason).because(format!("{why}; {what}"))
    }
}

#[async_trait]
impl Runtime for HttpRuntime {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    async fn run(&self, start: Start, mut stop: StopSignal) -> Ending {
        if let Some(Stop::Kill(reason)) = stop.asked() {
            return Ending::new(End::Terminated, self.clock.now(), NOT_STARTED)
                .because(format!("{reason}: stopped before anything was sent"));
        }
        let begun = Instant::now();
        let mut ending = self.post(&start, &mut stop).await;
        ending.duration_ms = Some(millis(begun.elapsed()));
        ending
    }

    async fn resume(&self, _start: Start, _stop: StopSignal) -> Ending {
        Ending::new(End::Lost, self.clock.now(), "hub_restarted")
            .because("the hub stopped while it waited for the target's answer")
    }
}

/// Waits for a stop with force, and says its reason.
async fn killed(stop: &mut StopSignal) -> &'static str {
    loop {
        if let Stop::Kill(reason) = stop.next().await {
            return reason;
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
