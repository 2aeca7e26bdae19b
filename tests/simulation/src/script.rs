//! What happens outside of the hub in a history, from dice alone.

use std::num::NonZeroU32;
use std::time::Duration;

use tripline_journal::Retention;

use crate::dice::Dice;

/// What a function does with an event; the word is the event's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Ends well, soon.
    Quick,
    /// Ends well, after a while.
    Slow,
    /// Fails.
    Fails,
    /// Does not end by itself.
    Hangs,
    /// Ends well when it is asked to stop.
    Polite,
    /// Cannot be started.
    Refused,
}

/// The functions. Runs of the first outlive the hub, those of the second do not.
pub(crate) const FUNCTIONS: [&str; 2] = ["kept", "bound"];

/// The bounds of a hub.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) qps: NonZeroU32,
    pub(crate) concurrency: NonZeroU32,
    pub(crate) max_queued: u64,
    pub(crate) max_event_age: Duration,
    pub(crate) timeout: Duration,
    /// Whether it begins on an empty disk, instead of one with a journal.
    pub(crate) empty_disk: bool,
    /// What is kept, where anything is ever removed.
    pub(crate) retention: Option<Retention>,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// A client calls; with a key it calls until it has an answer.
    Call {
        keyed: bool,
        kind: Kind,
        function: &'static str,
    },
    /// A client calls once more with a key that it has used.
    CallAgain(u64),
    /// An object store tells of objects, until it is heard.
    Notify(u64),
    /// Records are added to the log.
    Produce(u64),
    /// The log is deleted, and made anew under the same name.
    Recreate,
    /// Somebody stops an invocation.
    Terminate { which: u64, grace: bool },
    /// Somebody asks for states.
    Look,
    /// Somebody sets the clock.
    Jump(i64),
    /// The executor is killed, alone.
    ExecutorDies,
}

/// A step, and how long after the one before.
pub(crate) type Timed = (Duration, Step);

impl Kind {
    const ALL: [Self; 6] = [
        Self::Quick,
        Self::Slow,
        Self::Fails,
        Self::Hangs,
        Self::Polite,
        Self::Refused,
    ];

    pub(crate) fn any(dice: &mut Dice) -> Self {
        if dice.once_in(2) {
            Self::Quick
        } else {
            dice.pick(&Self::ALL)
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Slow => "slow",
            Self::Fails => "fails",
            Self::Hangs => "hangs",
            Self::Polite => "polite",
            Self::Refused => "refused",
        }
    }
}

impl Settings {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            qps: number(dice.pick(&[2, 4, 1000])),
            concurrency: number(dice.pick(&[1, 2, 3])),
            max_queued: dice.pick(&[3, 100, 100]),
            max_event_age: Duration::from_secs(dice.pick(&[3, 3600, 3600])),
            timeout: Duration::from_secs(dice.pick(&[2, 10])),
            empty_disk: dice.once_in(8),
            retention: None,
        }
    }
}

/// Either what is old goes, or everything that has ended: a journal is larger than a byte, always.
pub(crate) fn retention(dice: &mut Dice) -> Retention {
    Retention {
        keep_ended: Duration::from_millis(dice.pick(&[0, 0, 1000, 3_600_000])),
        keep_at_least: Duration::ZERO,
        max_bytes: dice.pick(&[1, u64::MAX, u64::MAX]),
        keep_removed: Duration::MAX,
    }
}

/// Steps of one life.
pub(crate) fn steps(dice: &mut Dice, count: u64) -> Vec<Timed> {
    (0..count).map(|_| timed(dice)).collect()
}

fn timed(dice: &mut Dice) -> Timed {
    // Often at the same time as the one before.
    let gap = dice.pick(&[0, 0, 0, 1, 20, 300, 1100]);
    (Duration::from_millis(gap), step(dice))
}

fn step(dice: &mut Dice) -> Step {
    match dice.below(20) {
        0..=6 => Step::Call {
            keyed: dice.once_in(2),
            kind: Kind::any(dice),
            function: dice.pick(&FUNCTIONS),
        },
        7 => Step::CallAgain(dice.throw()),
        8..=9 => Step::Notify(1 + dice.below(3)),
        10..=12 => Step::Produce(1 + dice.below(4)),
        13 => Step::Recreate,
        14..=15 => Step::Terminate {
            which: dice.throw(),
            grace: dice.once_in(2),
        },
        16 => Step::Look,
        17..=18 => Step::Jump(dice.pick(&[-3_600_000, -1500, 1500, 5000, 4_000_000])),
        _ => Step::ExecutorDies,
    }
}
