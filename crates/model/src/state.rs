//! The life of an invocation, as a pure state machine.

use std::fmt;

/// Where an invocation is in its life.
///
/// `accepted → running → succeeded | failed | timed_out | terminated | lost`, and from `accepted` directly
/// `expired | cancelled`. No arrow goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvocationState {
    /// Safe on disk, not started.
    Accepted,
    /// Its start is on disk; it may be running.
    Running,
    /// Over.
    Ended(End),
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The function ended well.
    Succeeded,
    /// The function said or showed that it failed, or could not be started.
    Failed,
    /// It ran longer than its timeout.
    TimedOut,
    /// Somebody stopped it while it was running.
    Terminated,
    /// It was started and nobody knows how it ended: it may or may not have run.
    Lost,
    /// It waited longer than `max_event_age`; no function code ran.
    Expired,
    /// It was given up before its start, mostly because somebody stopped it; no function code ran.
    Cancelled,
}

/// What can happen to an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The runtime is about to be asked to start it.
    Start,
    /// It is over.
    End(End),
}

/// A transition that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invocation that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// The state it is in.
    pub from: InvocationState,
    /// The state it was asked to take.
    pub to: InvocationState,
}

// === impl InvocationState ===

impl InvocationState {
    /// Every state there is.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Running,
        Self::Ended(End::Succeeded),
        Self::Ended(End::Failed),
        Self::Ended(End::TimedOut),
        Self::Ended(End::Terminated),
        Self::Ended(End::Lost),
        Self::Ended(End::Expired),
        Self::Ended(End::Cancelled),
    ];

    /// The state after `transition`, or why there is none.
    pub fn apply(self, transition: Transition) -> Result<Self, IllegalTransition> {
        let to = match transition {
            Transition::Start => Self::Running,
            Transition::End(end) => Self::Ended(end),
        };
        let allowed = match (self, to) {
            (Self::Accepted, Self::Running) => true,
            (Self::Accepted, Self::Ended(end)) => matches!(end, End::Expired | End::Cancelled),
            (Self::Running, Self::Ended(end)) => !matches!(end, End::Expired | End::Cancelled),
            (_, Self::Accepted) | (Self::Running, Self::Running) | (Self::Ended(_), _) => false,
        };
        if allowed {
            Ok(to)
        } else {
            Err(IllegalTransition { from: self, to })
        }
    }

    /// Whether it is over.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Ended(_))
    }

    /// The word used in the API, the CLI, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Ended(end) => end.as_str(),
        }
    }

    /// The state that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for InvocationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl End ===

impl End {
    /// The word used in the API, the CLI, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Terminated => "terminated",
            Self::Lost => "lost",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether function code ran: `None` is "nobody knows".
    pub fn ran(self) -> Option<bool> {
        match self {
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Terminated => Some(true),
            Self::Lost => None,
            Self::Expired | Self::Cancelled => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENDS: [End; 7] = [
        End::Succeeded,
        End::Failed,
        End::TimedOut,
        End::Terminated,
        End::Lost,
        End::Expired,
        End::Cancelled,
    ];

    fn transitions() -> Vec<Transition> {
        let ends = ENDS.into_iter().map(Transition::End);
        std::iter::once(Transition::Start).chain(ends).collect()
    }

    #[test]
    fn every_pair_of_state_and_transition() {
        let mut allowed = Vec::new();
        for state in InvocationState::ALL {
            for transition in transitions() {
                if let Ok(next) = state.apply(transition) {
                    allowed.push(format!("{state}>{next}"));
                }
            }
        }
        let expected = [
            "accepted>running",
            "accepted>expired",
            "accepted>cancelled",
            "running>succeeded",
            "running>failed",
            "running>timed_out",
            "running>terminated",
            "running>lost",
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn words_and_back() {
        for state in InvocationState::ALL {
            assert_eq!(InvocationState::parse(state.as_str()), Some(state));
        }
        assert_eq!(InvocationState::parse("done"), None);
    }

    proptest! {
        /// Any history at all: one start at most, one end at most, and nothing after the end.
        #[test]
        fn no_second_start_and_no_way_out_of_an_end(
            history in prop::collection::vec(prop::sample::select(transitions()), 0..40)
        ) {
            let (mut state, mut starts, mut ends) = (InvocationState::Accepted, 0, 0);
            for transition in history {
                let before = state;
                if let Ok(next) = state.apply(transition) {
                    prop_assert!(!before.is_end());
                    starts += u32::from(transition == Transition::Start);
                    ends += u32::from(next.is_end());
                    state = next;
                }
            }
            prop_assert!(starts <= 1 && ends <= 1);
            prop_assert_eq!(ends == 1, state.is_end());
        }
    }
}
