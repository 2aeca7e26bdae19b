//! The parts of one trigger can be in trouble each; the trigger is well when none is.

use std::sync::Mutex;

use tripline_model::lock;
use tripline_trigger::TriggerContext;

/// A part of the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The Listen stream or the webhook.
    Notifications,
    /// The listing.
    Listing,
    /// The way from the Listen stream into the journal.
    Dispatch,
}

/// What is wrong with each part, and which has not been well yet.
pub(crate) struct Health {
    cx: TriggerContext,
    parts: Mutex<[State; 3]>,
}

#[derive(Clone, PartialEq)]
enum State {
    Starting,
    Well,
    Troubled(String),
}

// === impl Health ===

impl Health {
    /// Notifications and listing have not been well yet.
    pub(crate) fn new(cx: TriggerContext) -> Self {
        let parts = Mutex::new([State::Starting, State::Starting, State::Well]);
        Self { cx, parts }
    }

    /// A part works.
    pub(crate) fn well(&self, part: Part) {
        self.set(part, State::Well);
    }

    /// A part does not work, but is still trying.
    pub(crate) fn trouble(&self, part: Part, what: String) {
        tracing::warn!(trigger = %self.cx.name(), "{what}");
        self.set(part, State::Troubled(what));
    }

    fn set(&self, part: Part, state: State) {
        let mut parts = lock(&self.parts);
        let slot = &mut parts[part as usize];
        if *slot == state {
            return;
        }
        *slot = state;
        let troubles: Vec<&str> = parts
            .iter()
            .filter_map(|part| match part {
                State::Troubled(what) => Some(what.as_str()),
                State::Starting | State::Well => None,
            })
            .collect();
        if !troubles.is_empty() {
            self.cx.trouble(troubles.join("; "));
        } else if parts.iter().all(|part| *part == State::Well) {
            self.cx.ready();
        }
    }
}
