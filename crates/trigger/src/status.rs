//! How a trigger is doing, for people and for the API.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tripline_config::is_hazardous;
use tripline_model::{Clock, FunctionName, Timestamp, TriggerName};

/// The longest text of an error or a fact, in characters: both may quote a remote peer.
const MAX_TEXT_CHARS: usize = 500;

/// Where a trigger is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TriggerState {
    /// It runs, and has not said yet that its source is there.
    Starting,
    /// It takes events in.
    Running,
    /// It runs, but its source gives it trouble; it keeps trying by itself.
    Troubled,
    /// Its run ended with an error; it is started again later.
    Backoff,
    /// Somebody paused it, or the config says `enabled = false`.
    Paused,
    /// The hub is stopping.
    Stopped,
}

/// How a trigger is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerStatus {
    /// Its name.
    pub name: TriggerName,
    /// Its kind, such as `kafka`.
    pub kind: String,
    /// The function it is for.
    pub function: FunctionName,
    /// Where it is in its life.
    pub state: TriggerState,
    /// Since when it is there.
    pub since: Timestamp,
    /// What is wrong, or was wrong last; gone once it runs well. Without control characters.
    pub error: Option<String>,
    /// How often its run ended before it should have, since the hub was started.
    pub restarts: u64,
    /// When it is started again, in [`TriggerState::Backoff`].
    pub retry_at: Option<Timestamp>,
    /// Events accepted through it since the hub was started, without those known before.
    pub accepted: u64,
    /// Offers refused since the hub was started.
    pub rejected: u64,
    /// What the kind tells of itself, such as `lag`; empty while it does not run.
    pub facts: BTreeMap<&'static str, FactValue>,
}

/// A fact's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactValue {
    /// A number of things.
    Count(u64),
    /// Yes or no.
    Flag(bool),
    /// Words. Without control characters.
    Text(String),
    /// A moment.
    Time(Timestamp),
}

/// A trigger's status while it changes: written by its context and its keeper, read by whoever wants to know.
pub(crate) struct Board {
    name: TriggerName,
    kind: String,
    function: FunctionName,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    accepted: AtomicU64,
    rejected: AtomicU64,
    /// The state once more, for those who wait for it.
    state: watch::Sender<TriggerState>,
}

struct Inner {
    since: Timestamp,
    /// The run is over: what is left of it has no say.
    is_over: bool,
    error: Option<String>,
    restarts: u64,
    retry_at: Option<Timestamp>,
    facts: BTreeMap<&'static str, FactValue>,
    /// Since when it has been running without trouble.
    healthy_since: Option<Instant>,
    /// The longest such time of this run that is over.
    longest_health: Duration,
}

// === impl TriggerState ===

impl TriggerState {
    /// The word used in the API, the CLI, logs and metrics.
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

// === impl Board ===

impl Board {
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

    pub(crate) fn status(&self) -> TriggerStatus {
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

    /// Follows the state.
    pub(crate) fn watch(&self) -> watch::Receiver<TriggerState> {
        self.state.subscribe()
    }

    /// The keeper's word: always holds.
    pub(crate) fn enter(&self, state: TriggerState) {
        let mut inner = self.inner();
        inner.is_over = false;
        inner.healthy_since = None;
        inner.longest_health = Duration::ZERO;
        inner.retry_at = None;
        inner.facts.clear();
        self.become_state(&mut inner, state);
    }

    /// The keeper's word: nothing comes in any more. The state stays until the keeper enters the next, for which tasks of
    /// the run and notes about its end may take a while.
    pub(crate) fn run_ended(&self) {
        let mut inner = self.inner();
        inner.is_over = true;
        inner.longest_health = inner.longest_health();
        inner.healthy_since = None;
        inner.facts.clear();
    }

    /// The keeper's word: something is wrong that changes nothing of where it is in its life.
    pub(crate) fn blame(&self, what: &str) {
        self.inner().error = Some(tame(what));
    }

    /// The keeper's word: what was wrong is not any more.
    pub(crate) fn forgive(&self) {
        self.inner().error = None;
    }

    /// The run ended early, because of `error`; it is started again at `retry_at`.
    pub(crate) fn failed(&self, error: &str, retry_at: Timestamp) {
        let mut inner = self.inner();
        inner.error = Some(tame(error));
        inner.restarts += 1;
        inner.healthy_since = None;
        inner.retry_at = Some(retry_at);
        inner.facts.clear();
        self.become_state(&mut inner, TriggerState::Backoff);
    }

    /// The trigger's word: holds only while it runs, so that a late one changes nothing.
    pub(crate) fn ready(&self) {
        let mut inner = self.inner();
        if self.has_a_say(&inner) {
            inner.error = None;
            inner.healthy_since.get_or_insert_with(Instant::now);
            self.become_state(&mut inner, TriggerState::Running);
        }
    }

    /// The trigger's word, like [`Board::ready`].
    pub(crate) fn trouble(&self, what: &str) {
        let mut inner = self.inner();
        if self.has_a_say(&inner) {
            inner.error = Some(tame(what));
            inner.longest_health = inner.longest_health();
            inner.healthy_since = None;
            self.become_state(&mut inner, TriggerState::Troubled);
        }
    }

    /// The trigger's word, like [`Board::ready`].
    pub(crate) fn fact(&self, name: &'static str, value: FactValue) {
        let value = match value {
            FactValue::Text(text) => FactValue::Text(tame(&text)),
            value => value,
        };
        let mut inner = self.inner();
        if self.has_a_say(&inner) {
            inner.facts.insert(name, value);
        }
    }

    /// Takes a fact back.
    pub(crate) fn no_fact(&self, name: &str) {
        self.inner().facts.remove(name);
    }

    /// The longest time for which this run went on without trouble.
    pub(crate) fn longest_health(&self) -> Duration {
        self.inner().longest_health()
    }

    pub(crate) fn count(&self, accepted: u64, rejected: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    fn has_a_say(&self, inner: &Inner) -> bool {
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
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl Inner {
    fn longest_health(&self) -> Duration {
        let now = self.healthy_since.map(|since| since.elapsed());
        now.unwrap_or_default().max(self.longest_health)
    }
}

/// Text fit to be shown anywhere: bounded, on one line, and no terminal takes it for a command.
fn tame(text: &str) -> String {
    text.chars()
        .map(|c| if is_hazardous(c) { ' ' } else { c })
        .take(MAX_TEXT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests;
