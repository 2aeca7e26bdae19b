//! What came for one run and was not taken yet. The executor sends a bounded number of messages ahead, so what is kept
//! here is bounded; after a new connection it sends things again, and what was taken already is left out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tripline_model::lock;

use super::{NumberedLine, RunEvent};

/// Messages with lines that an executor sends ahead of what is kept.
pub(super) const SEND_WINDOW: usize = 32;

/// Events that may wait: the window, the end, its reclaiming and the loss.
const MAX_WAITING: usize = SEND_WINDOW + 3;

/// The events of one run on their way to its [`Run`](super::Run).
pub(super) struct Inbox {
    state: Mutex<State>,
    filled: Notify,
}

/// More came than an executor may send.
#[derive(Debug)]
pub(super) struct Overfull;

struct State {
    /// Whether a `Run` takes events out.
    claimed: bool,
    /// Whether one did.
    was_claimed: bool,
    waiting: VecDeque<RunEvent>,
    /// What was put in.
    passed: Seen,
    /// What was taken out.
    taken: Seen,
}

/// How far a run's events have come.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    line: u64,
    ended: bool,
    reclaimed: bool,
}

// === impl Inbox ===

impl Inbox {
    /// For a run that is about to be started, with a `Run` that takes events out.
    pub(super) fn claimed() -> Self {
        let inbox = Self::unclaimed();
        let mut state = inbox.state();
        (state.claimed, state.was_claimed) = (true, true);
        drop(state);
        inbox
    }

    /// For a run of an earlier life of the hub.
    pub(super) fn unclaimed() -> Self {
        let (passed, taken) = (Seen::default(), Seen::default());
        let state = State {
            claimed: false,
            was_claimed: false,
            waiting: VecDeque::new(),
            passed,
            taken,
        };
        Self {
            state: Mutex::new(state),
            filled: Notify::new(),
        }
    }

    /// Becomes the source of a new `Run`, from the line after `after` on. False if there is one.
    pub(super) fn claim(&self, after: u64) -> bool {
        let mut state = self.state();
        if state.claimed {
            return false;
        }
        let from = Seen {
            line: after,
            ..Seen::default()
        };
        (state.claimed, state.was_claimed) = (true, true);
        (state.passed, state.taken) = (from, from);
        true
    }

    /// The `Run` is gone.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.claimed = false;
        state.waiting.clear();
    }

    /// Whether a `Run` takes events out.
    pub(super) fn is_claimed(&self) -> bool {
        self.state().claimed
    }

    /// Whether a `Run` takes events out, or did.
    pub(super) fn was_claimed(&self) -> bool {
        self.state().was_claimed
    }

    /// The executor will send again what comes after the lines that are kept: what waits here is dropped.
    pub(super) fn rewind(&self) {
        let mut state = self.state();
        state.passed = state.taken;
        state.waiting.clear();
    }

    /// Puts an event in, unless it was there before.
    pub(super) fn put(&self, event: RunEvent) -> Result<(), Overfull> {
        let mut state = self.state();
        if !state.claimed {
            return Ok(());
        }
        let Some(event) = state.passed.admit(event) else {
            return Ok(());
        };
        if state.waiting.len() >= MAX_WAITING {
            return Err(Overfull);
        }
        state.passed.note(&event);
        state.waiting.push_back(event);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Puts the loss in, for which there is always room.
    pub(super) fn lose(&self, why: &str, reclaimed: bool) {
        let mut state = self.state();
        if state.claimed {
            let why = why.to_owned();
            state.waiting.push_back(RunEvent::Lost { why, reclaimed });
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Takes the next event out.
    pub(super) async fn next(&self) -> RunEvent {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<RunEvent> {
        let mut state = self.state();
        let event = state.waiting.pop_front()?;
        state.taken.note(&event);
        Some(event)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// === impl Seen ===

impl Seen {
    /// What is new in the event.
    fn admit(&self, event: RunEvent) -> Option<RunEvent> {
        match event {
            RunEvent::Lines(mut lines) => {
                lines.retain(|line| line.number > self.line);
                (!lines.is_empty()).then_some(RunEvent::Lines(lines))
            }
            RunEvent::Ended { reclaimed, .. } if self.ended => {
                (reclaimed && !self.reclaimed).then_some(RunEvent::Reclaimed)
            }
            RunEvent::Ended { .. } | RunEvent::Lost { .. } => Some(event),
            RunEvent::Reclaimed => (!self.reclaimed).then_some(event),
        }
    }

    fn note(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Lines(lines) => {
                self.line = lines
                    .last()
                    .map_or(self.line, |line: &NumberedLine| line.number);
            }
            RunEvent::Ended { reclaimed, .. } => {
                self.ended = true;
                self.reclaimed |= reclaimed;
            }
            RunEvent::Reclaimed => self.reclaimed = true,
            RunEvent::Lost { .. } => {}
        }
    }
}
