//! Runs in executors: what `process` and `worker` have in common. A run is started once or taken up again, its lines
//! are passed on and confirmed when they are kept, stop requests go the other way, and its end is returned.

mod end;
mod keeping;
mod link;
mod renewal;
mod runtime;
#[cfg(test)]
pub(crate) mod script;
mod taking;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tripline_executor::client::{Client, RunEvent};
use tripline_executor::protocol::{self, StopHow};
use tripline_model::{Clock, End, Ending, FunctionName, NOT_STARTED, RequestId, lock};

use crate::attributes::Attributes;
use crate::{CredentialProvider, EventFormat, HeldInvocation, Start, Stop, StopSignal, render};

use end::ending;
use keeping::Keeping;
pub(crate) use link::{Events, Link};
pub use runtime::ExecutorRuntime;
use taking::Taking;

/// Why a run is killed that the hub is done with.
const HUB_RESTARTED: &str = "hub_restarted";

/// Runs functions in executors.
pub struct Remote {
    link: Arc<dyn Link>,
    clock: Arc<dyn Clock>,
    credential_provider: Option<Arc<dyn CredentialProvider>>,
    formats: HashMap<FunctionName, EventFormat>,
    /// The share of traces that is recorded; `None` without traces.
    traces: Option<f64>,
    /// Runs that ended and are not reclaimed yet; with the run where something of it is still alive.
    ended: Mutex<HashMap<RequestId, Option<Box<dyn Events>>>>,
}

// === impl Remote ===

impl Remote {
    /// Runs through `client`, to which the functions are [declared](Client::declare). Each gets its events in its
    /// format; one that is not in `formats` gets the data as it is.
    pub fn new(
        client: Client,
        clock: Arc<dyn Clock>,
        credential_provider: Option<Arc<dyn CredentialProvider>>,
        formats: HashMap<FunctionName, EventFormat>,
    ) -> Self {
        Self::over(Arc::new(client), clock, credential_provider, formats)
    }

    pub(crate) fn over(
        link: Arc<dyn Link>,
        clock: Arc<dyn Clock>,
        credential_provider: Option<Arc<dyn CredentialProvider>>,
        formats: HashMap<FunctionName, EventFormat>,
    ) -> Self {
        Self {
            link,
            clock,
            credential_provider,
            formats,
            traces: None,
            ended: Mutex::default(),
        }
    }

    /// Passes their trace context to functions; `share` of the traces are recorded.
    #[must_use]
    pub fn traced(self, share: Option<f64>) -> Self {
        Self {
            traces: share,
            ..self
        }
    }

    /// See [`crate::Runtime::run`].
    pub(crate) async fn run(
        &self,
        start: Start,
        attributes: Attributes,
        stop: StopSignal,
    ) -> Ending {
        let id = start.invocation.request_id;
        let credentials = match self.credentials(&start.function.name).await {
            Ok(credentials) => credentials,
            Err(why) => {
                let why = format!("there are no credentials for the function's role: {why}");
                return self.not_started(id, why);
            }
        };
        if let Some(Stop::Kill(reason)) = stop.asked() {
            self.ended().insert(id, None);
            return Ending::new(End::Terminated, self.clock.now(), NOT_STARTED)
                .because(format!("{reason}: stopped before its function was started"));
        }
        let expires = credentials.as_ref().map(|one| one.expires_ms);
        let mut request = start_request(&start, attributes, credentials);
        request.variables.extend(trace(&start, self.traces));
        match self.link.start(request, self.data(&start)).await {
            Ok(run) => self.follow(run, start, stop, expires).await,
            Err(why) => self.not_started(id, why),
        }
    }

    /// What the function gets to read: the event in its format, or the data as it is.
    fn data(&self, start: &Start) -> Bytes {
        let format = self.formats.get(&start.function.name).copied();
        render(&start.invocation, format.unwrap_or(EventFormat::Raw))
    }

    /// See [`crate::Runtime::held`]. An executor does not report the kind of a run: these are all of them.
    pub(crate) fn held(&self) -> Vec<HeldInvocation> {
        let held = self.link.held().into_iter().filter_map(|run| {
            let known = run
                .run
                .parse()
                .ok()
                .zip(FunctionName::new(&run.function).ok());
            if known.is_none() {
                tracing::warn!(run = run.run, "an executor holds what is no run of ours");
            }
            let (request_id, function) = known?;
            Some(HeldInvocation {
                request_id,
                function,
                ended: run.ended,
            })
        });
        held.collect()
    }

    /// See [`crate::Runtime::resume`].
    pub(crate) async fn resume(&self, start: Start, stop: StopSignal) -> Ending {
        let id = start.invocation.request_id;
        let after = start.output.last_number().await;
        match self.link.attach(id, after).await {
            // When its credentials end was known to an earlier life: it gets new ones at once.
            Some(run) => self.follow(run, start, stop, Some(0)).await,
            None => {
                let why = "its executor is gone, and everything that it ran was swept away";
                self.lost(id, why.to_owned())
            }
        }
    }

    /// See [`crate::Runtime::reclaim`].
    pub(crate) async fn reclaim(&self, id: RequestId) {
        let ended = self.ended().remove(&id);
        let left = match ended {
            Some(left) => left,
            // Not ended as far as we know. A kill comes too late for one that is.
            None => {
                self.link.stop(id, StopHow::Kill(HUB_RESTARTED.to_owned()));
                self.link.attach(id, 0).await
            }
        };
        if let Some(mut run) = left {
            self.wait_until_gone(id, run.as_mut()).await;
        }
        self.link.forget(id);
    }

    async fn wait_until_gone(&self, id: RequestId, run: &mut dyn Events) {
        loop {
            match run.next().await {
                RunEvent::Lines(lines) => {
                    if let Some(last) = lines.last() {
                        self.link.kept(id, last.number);
                    }
                }
                RunEvent::Ended { reclaimed, .. } if reclaimed => return,
                RunEvent::Reclaimed => return,
                RunEvent::Lost { reclaimed, .. } if reclaimed => return,
                RunEvent::Ended { .. } | RunEvent::Lost { .. } => {}
            }
        }
    }

    /// Passes the run's events on, and stop requests and renewed credentials to it, until it is over.
    async fn follow(
        &self,
        mut run: Box<dyn Events>,
        start: Start,
        mut stop: StopSignal,
        expires_ms: Option<i64>,
    ) -> Ending {
        let id = start.invocation.request_id;
        let mut renewing =
            std::pin::pin!(self.renew_credentials(id, &start.function.name, expires_ms));
        let mut keeping = Keeping::of(&start.output);
        let mut taking = Taking::of(&start.output);
        loop {
            let event = tokio::select! {
                event = run.next(), if taking.is_over() => event,
                last = taking.over() => {
                    keeping.taken(last);
                    continue;
                }
                how = stop.next() => {
                    self.link.stop(id, how.into());
                    continue;
                }
                line = keeping.next() => {
                    self.link.kept(id, line);
                    continue;
                }
                never = &mut renewing => match never {},
            };
            match event {
                RunEvent::Reclaimed => {}
                RunEvent::Lines(lines) => taking.begin(lines),
                RunEvent::Ended {
                    outcome,
                    result,
                    reclaimed,
                } => {
                    // Once the end is durable, nobody asks the executor for lines any more.
                    keeping.all().await;
                    let left = (!reclaimed).then_some(run);
                    self.ended().insert(id, left);
                    return ending(outcome, result);
                }
                RunEvent::Lost { why, reclaimed } => {
                    let ending = self.lost(id, why);
                    if !reclaimed {
                        self.ended().insert(id, Some(run));
                    }
                    return ending;
                }
            }
        }
    }

    fn not_started(&self, id: RequestId, why: String) -> Ending {
        self.nowhere(id, End::Failed, "start_failed").because(why)
    }

    fn lost(&self, id: RequestId, why: String) -> Ending {
        self.nowhere(id, End::Lost, "executor_died").because(why)
    }

    /// An end of which nothing is anywhere.
    fn nowhere(&self, id: RequestId, end: End, reason: &str) -> Ending {
        self.ended().insert(id, None);
        Ending::new(end, self.clock.now(), reason)
    }

    fn ended(&self) -> MutexGuard<'_, HashMap<RequestId, Option<Box<dyn Events>>>> {
        lock(&self.ended)
    }
}

fn start_request(
    start: &Start,
    attributes: Attributes,
    credentials: Option<protocol::Credentials>,
) -> protocol::Start {
    let function = &start.function;
    protocol::Start {
        run: start.invocation.request_id.to_string(),
        function: function.name.to_string(),
        variables: attributes.variables,
        remarks: attributes.remarks,
        credentials,
        timeout_ms: millis(function.timeout),
        grace_ms: millis(function.grace),
        deadline_ms: start.deadline.as_millis(),
        max_result_bytes: function.max_result_bytes as u64,
        max_log_bytes: function.max_log_bytes,
    }
}

/// Where the run stands in a trace, as programs usually get to know it.
fn trace(start: &Start, share: Option<f64>) -> Vec<(String, String)> {
    let invocation = &start.invocation;
    let Some(parent) = invocation.traceparent(share) else {
        return Vec::new();
    };
    let state = invocation.event.extensions.get("tracestate");
    let state = state.filter(|text| !text.contains('\0'));
    let state = state.map(|text| ("TRACESTATE".to_owned(), text.clone()));
    let parent = ("TRACEPARENT".to_owned(), parent.to_string());
    std::iter::once(parent).chain(state).collect()
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
