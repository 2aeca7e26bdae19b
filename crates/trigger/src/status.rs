//! The status of a trigger, for people and for the API.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tripline_config::is_hazardous;
use tripline_model::{Clock, FunctionName, Timestamp, TriggerName, lock};

/// The longest text of an error or a fact, in characters: both may quote a remote peer.
const MAX_TEXT_CHARS: usize = 500;

/// The state of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TriggerState {
    /// It runs, and has not reported yet that its source is there.
    Starting,
    /// It takes events in.
    Running,
    /// It runs, but something is wrong with its source; it keeps trying by itself.
    Troubled,
    /// Its run ended with an error; it is restarted later.
    Backoff,
    /// Somebody paused it, or the config has `enabled = false`.
    Paused,
    /// The hub is stopping.
    Stopped,
}

/// The status of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerStatus {
    /// Its name.
    pub name: TriggerName,
    /// Its kind, such as `kafka`.
    pub kind: String,
    /// The function it is for.
    pub function: FunctionName,
    /// Its state.
    pub state: TriggerState,
    /// Since when it has been in that state.
    pub since: Timestamp,
    /// The current or latest error; gone once it runs well. Without control characters.
    pub error: Option<String>,
    /// How often its run ended too early since the hub was started.
    pub restarts: u64,
    /// When it is restarted, in [`TriggerState::Backoff`].
    pub retry_at: Option<Timestamp>,
    /// Events accepted through it since the hub was started, without repeats.
    pub accepted: u64,
    /// Offers refused since the hub was started.
    pub rejected: u64,
    /// What the kind reports about itself, such as `lag`; empty while it does not run.
    pub facts: BTreeMap<&'static str, FactValue>,
}

/// A fact's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactValue {
    /// A number of things.
    Count(u64),
    /// Yes or no.
    Flag(bool),
    /// A text without control characters.
    Text(String),
    /// A moment.
    Time(Timestamp),
}

/// The live status of one trigger: written by the trigger, through its context, and by the supervisor's task; read by
/// the API.
pub(crate) struct StatusCell {
    name: TriggerName,
    kind: String,
    function: FunctionName,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    accepted: AtomicU64,
    rejected: AtomicU64,
    /// The state, in a channel so that others can wait for a change.
    state: watch::Sender<TriggerState>,
}

struct Inner {
    since: Timestamp,
    /// The run is over: updates from what is left of it are ignored.
    is_over: bool,
    error: Option<String>,
    restarts: u64,
    retry_at: Option<Timestamp>,
    facts: BTreeMap<&'static str, FactValue>,
    /// Since when it has been running without trouble.
    healthy_since: Option<Instant>,
    /// The longest such period of this run, among those that have ended.
    longest_health: Duration,
}

// === impl TriggerState ===

impl TriggerState {
    /// Its name in the API, the CLI, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Troubled => "troubled",
            Self::Backoff => "backoff",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the trigger's own code runs.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Troubled)
    }
}

impl fmt::Display for TriggerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl FactValue ===

impl From<u64> for FactValue {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<u32> for FactValue {
    fn from(count: u32) -> Self {
        Self::Count(count.into())
    }
}

impl From<usize> for FactValue {
    fn from(count: usize) -> Self {
        Self::Count(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

impl From<bool> for FactValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<String> for FactValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for FactValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Timestamp> for FactValue {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}

impl fmt::Display for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Time(at) => at.fmt(f),
        }
    }
}

// === impl StatusCell ===

impl StatusCell {
    pub(crate) fn new(
        name: TriggerName,
        kind: String,
        function: FunctionName,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let inner = Inner {
            since: clock.now(),
            is_over: false,
            error: None,
            restarts: 0,
            retry_at: None,
            facts: BTreeMap::new(),
            healthy_since: None,
            longest_health: Duration::ZERO,
        };
        Self {
            name,
            kind,
            function,
            clock,
            inner: Mutex::new(inner),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            state: watch::Sender::new(TriggerState::Starting),
        }
    }

    pub(crate) fn get(&self) -> TriggerStatus {
        let inner = self.inner();
        TriggerStatus {
            name: self.name.clone(),
            kind: self.kind.clone(),
            function: self.function.clone(),
            state: *self.state.borrow(),
            since: inner.since,
            error: inner.error.clone(),
            restarts: inner.restarts,
            retry_at: inner.retry_at,
            accepted: self.accepted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            facts: inner.facts.clone(),
        }
    }

    /// A receiver of every change of the state.
    pub(crate) fn watch(&self) -> watch::Receiver<TriggerState> {
        self.state.subscribe()
    }

    /// Called by the supervisor's task; applies in every state.
    pub(crate) fn enter(&self, state: TriggerState) {
        let mut inner = self.inner();
        inner.is_over = false;
        inner.healthy_since = None;
        inner.longest_health = Duration::ZERO;
        inner.retry_at = None;
        inner.facts.clear();
        self.become_state(&mut inner, state);
    }

    /// Called by the supervisor's task: the trigger's updates are ignored from now on. The state stays until the task
    /// enters the next, since tasks of the run and notes about its end may take a while.
    pub(crate) fn run_ended(&self) {
        let mut inner = self.inner();
        inner.is_over = true;
        inner.longest_health = inner.longest_health();
        inner.healthy_since = None;
        inner.facts.clear();
    }

    /// Called by the supervisor's task: shows an error, and leaves the state as it is.
    pub(crate) fn set_error(&self, what: &str) {
        self.inner().error = Some(sanitized(what));
    }

    /// Called by the supervisor's task.
    pub(crate) fn clear_error(&self) {
        self.inner().error = None;
    }

    /// Called by the supervisor's task: the run ended early, because of `error`; the trigger is restarted at `retry_at`.
    pub(crate) fn failed(&self, error: &str, retry_at: Timestamp) {
        let mut inner = self.inner();
        inner.error = Some(sanitized(error));
        inner.restarts += 1;
        inner.healthy_since = None;
        inner.retry_at = Some(retry_at);
        inner.facts.clear();
        self.become_state(&mut inner, TriggerState::Backoff);
    }

    /// Called by the trigger; applies only while it runs, so that a late call changes nothing.
    pub(crate) fn ready(&self) {
        let mut inner = self.inner();
        if self.accepts_updates(&inner) {
            inner.error = None;
            inner.healthy_since.get_or_insert_with(Instant::now);
            self.become_state(&mut inner, TriggerState::Running);
        }
    }

    /// Called by the trigger, like [`StatusCell::ready`].
    pub(crate) fn trouble(&self, what: &str) {
        let mut inner = self.inner();
        if self.accepts_updates(&inner) {
            inner.error = Some(sanitized(what));
            inner.longest_health = inner.longest_health();
            inner.healthy_since = None;
            self.become_state(&mut inner, TriggerState::Troubled);
        }
    }

    /// Called by the trigger, like [`StatusCell::ready`].
    pub(crate) fn fact(&self, name: &'static str, value: FactValue) {
        let value = match value {
            FactValue::Text(text) => FactValue::Text(sanitized(&text)),
            value => value,
        };
        let mut inner = self.inner();
        if self.accepts_updates(&inner) {
            inner.facts.insert(name, value);
        }
    }

    /// Removes a fact.
    pub(crate) fn no_fact(&self, name: &str) {
        self.inner().facts.remove(name);
    }

    /// The longest period of this run without trouble.
    pub(crate) fn longest_health(&self) -> Duration {
        self.inner().longest_health()
    }

    pub(crate) fn count(&self, accepted: u64, rejected: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    fn accepts_updates(&self, inner: &Inner) -> bool {
        self.state.borrow().is_active() && !inner.is_over
    }

    fn become_state(&self, inner: &mut Inner, state: TriggerState) {
        let changed = self.state.send_if_modified(|now| {
            let changed = *now != state;
            *now = state;
            changed
        });
        if changed {
            inner.since = self.clock.now();
            let (trigger, error) = (self.name.as_str(), inner.error.as_deref().unwrap_or(""));
            match state {
                TriggerState::Troubled | TriggerState::Backoff => {
                    tracing::warn!(trigger, state = state.as_str(), error, "trigger");
                }
                _ => tracing::info!(trigger, state = state.as_str(), "trigger"),
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

// === impl Inner ===

impl Inner {
    fn longest_health(&self) -> Duration {
        let now = self.healthy_since.map(|since| since.elapsed());
        now.unwrap_or_default().max(self.longest_health)
    }
}

/// Text that is safe to show anywhere: bounded, on one line, without control sequences for terminals.
fn sanitized(text: &str) -> String {
    text.chars()
        .map(|c| if is_hazardous(c) { ' ' } else { c })
        .take(MAX_TEXT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests;
