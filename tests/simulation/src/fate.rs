//! Every effect of a life passes here and is counted; at one of them the life ends. What was not reached by then never
//! happens: neither on the disk nor in the outside world.

use std::fmt;
use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tripline_model::RequestId;

/// Something that is seen outside of the hub's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// A file is written at a place, with so many bytes.
    Write(&'static str, usize, usize),
    /// A file is made durable.
    Sync(&'static str),
    /// A file gets this length.
    Cut(&'static str, usize),
    /// A name goes away.
    Remove(&'static str),
    /// A function begins to run.
    Run(RequestId),
    /// A function is over.
    Over(RequestId),
    /// The hub hears of the end.
    Told(RequestId),
    /// What is left of a run goes away.
    Reclaim(RequestId),
    /// Somebody outside hears an answer about these occurrences.
    Answer(Vec<usize>),
    /// A reader of a log commits its place.
    Commit(u64),
    /// Somebody outside sees the state of an invocation.
    Look(RequestId, &'static str),
}

/// What a part of the simulation does next, for the trace only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Note(pub(crate) String);

#[derive(Default)]
struct State {
    count: u64,
    last: Option<u64>,
    ended_by: Option<Effect>,
    over: bool,
    /// What a life that ends now would be noted as.
    stage: &'static str,
    hasher: DefaultHasher,
    trace: Option<Vec<String>>,
}

/// The fate of all lives of one history.
pub(crate) struct Fate {
    state: Mutex<State>,
    over: Notify,
}

impl Fate {
    pub(crate) fn new(trace: bool) -> Self {
        let state = State {
            trace: trace.then(Vec::new),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            over: Notify::new(),
        }
    }

    /// A new life, which ends at its effect number `last` (from 1), or not by fate.
    pub(crate) fn new_life(&self, last: Option<u64>) {
        let mut state = self.state();
        state.count = 0;
        state.last = last;
        state.over = false;
        state.ended_by = None;
    }

    /// An effect is about to happen; whether it does.
    pub(crate) fn reach(&self, effect: Effect) -> bool {
        let mut state = self.state();
        if state.over {
            return false;
        }
        state.count += 1;
        state.note(&effect);
        if state.last == Some(state.count) {
            state.note(&Note("--- crash ---".to_owned()));
            state.ended_by = Some(effect);
            state.over = true;
            self.over.notify_waiters();
            return false;
        }
        true
    }

    /// As `reach`; does not come back if the life is over.
    pub(crate) async fn pass(&self, effect: Effect) {
        if !self.reach(effect) {
            pending::<()>().await;
        }
    }

    /// Ends the life from outside: from now on nothing has an effect.
    pub(crate) fn end(&self) {
        self.state().over = true;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().over
    }

    /// Waits for the effect that ends this life.
    pub(crate) async fn ended(&self) {
        let news = self.over.notified();
        if !self.is_over() {
            news.await;
        }
    }

    /// The effect at which this life ended, if it ended by fate.
    pub(crate) fn ended_by(&self) -> Option<Effect> {
        self.state().ended_by.clone()
    }

    /// Effects of this life so far.
    pub(crate) fn count(&self) -> u64 {
        self.state().count
    }

    /// Goes into the trace and its hash, and is no effect.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        self.state().note(&Note(text()));
    }

    /// The life goes on to its next stage.
    pub(crate) fn enter(&self, stage: &'static str) {
        let mut state = self.state();
        state.stage = stage;
        state.note(&Note(stage.to_owned()));
    }

    /// The stage at which the life ended.
    pub(crate) fn stage(&self) -> &'static str {
        self.state().stage
    }

    /// What stands for everything that happened.
    pub(crate) fn hash(&self) -> u64 {
        self.state().hasher.finish()
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        self.state().trace.take().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, what: &(impl Hash + fmt::Debug)) {
        what.hash(&mut self.hasher);
        let count = self.count;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{count:>5} {what:?}"));
        }
    }
}
