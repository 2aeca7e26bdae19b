//! The wall clock of a history: it goes with the life's paused time, and jumps.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tripline_model::{Clock, Timestamp};

/// When every history begins.
const BEGIN: Timestamp = Timestamp::from_millis(1_795_555_058_243);

/// See the module.
pub(crate) struct JumpyClock(Mutex<State>);

struct State {
    /// What it showed when the life began, jumps since then included.
    base: Timestamp,
    /// When the life began; between lives it stands still.
    began: Option<Instant>,
}

impl JumpyClock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            base: BEGIN,
            began: None,
        }))
    }

    /// A life begins, after the hub was away for a while.
    pub(crate) fn begin_life(&self, away: Duration) {
        let mut state = self.state();
        state.base = state.base.plus(away);
        state.began = Some(Instant::now());
    }

    /// The life is over; still within its executor.
    pub(crate) fn end_life(&self) {
        let mut state = self.state();
        state.base = state.now();
        state.began = None;
    }

    /// Somebody sets the clock.
    pub(crate) fn jump(&self, millis: i64) {
        let mut state = self.state();
        let base = state.base.as_millis() + millis;
        state.base = Timestamp::from_millis(base);
    }

    /// How long this life lasts, by a clock that does not jump.
    pub(crate) fn elapsed(&self) -> Duration {
        let began = self.state().began;
        began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&self) -> Timestamp {
        let gone = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        self.base.plus(gone)
    }
}

impl Clock for JumpyClock {
    fn now(&self) -> Timestamp {
        self.state().now()
    }
}
