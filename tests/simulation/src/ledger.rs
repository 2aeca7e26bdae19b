//! What functions really did, written by themselves: the hub cannot touch it.

use std::collections::BTreeMap;
use std::time::Duration;

use tripline_model::{Clock, End, Ending, RequestId, Timestamp};

use crate::dice::Dice;
use crate::script::Kind;

/// One run, for ever.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) starts: u32,
    pub(crate) function: String,
    /// Which occurrence it was started for.
    pub(crate) occurrence: usize,
    pub(crate) kind: Kind,
    /// How much of its work is still to do.
    pub(crate) left: Duration,
    /// How it ended.
    pub(crate) over: Option<Ending>,
    /// Whether it ended with its executor or its hub, so that nobody can know how.
    pub(crate) died: bool,
    /// Whether the executor still has it.
    pub(crate) held: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) runs: BTreeMap<RequestId, Entry>,
}

impl Kind {
    /// How long a function works, if it ends by itself.
    fn work(self) -> Duration {
        match self {
            Self::Quick | Self::Refused => Duration::from_millis(3),
            Self::Fails => Duration::from_millis(40),
            Self::Slow => Duration::from_millis(1300),
            Self::Hangs | Self::Polite => Duration::MAX,
        }
    }

    /// How it ends by itself.
    pub(crate) fn ending(self, at: Timestamp) -> Ending {
        match self {
            Self::Fails => Ending::new(End::Failed, at, "exit_code"),
            _ => Ending::new(End::Succeeded, at, "exit_code"),
        }
    }
}

impl Ledger {
    /// A function begins.
    pub(crate) fn start(&mut self, id: RequestId, function: &str, occurrence: usize, kind: Kind) {
        let entry = self.runs.entry(id).or_insert_with(|| Entry {
            starts: 0,
            function: function.to_owned(),
            occurrence,
            kind,
            left: kind.work(),
            over: None,
            died: false,
            held: true,
        });
        entry.starts += 1;
    }

    /// A function is over.
    pub(crate) fn end(&mut self, id: RequestId, ending: &Ending) {
        if let Some(entry) = self.runs.get_mut(&id) {
            entry.over.get_or_insert_with(|| ending.clone());
        }
    }

    /// The executor lets go of a run, and kills what is left of it.
    pub(crate) fn reclaim(&mut self, id: RequestId) {
        if let Some(entry) = self.runs.get_mut(&id) {
            entry.held = false;
        }
    }

    /// Everything that the executor has is gone.
    pub(crate) fn executor_dies(&mut self) {
        for entry in self.runs.values_mut() {
            entry.died |= entry.held && entry.function == "kept";
            entry.held &= entry.function != "kept";
        }
    }

    /// What does not outlive the hub is gone with it.
    pub(crate) fn hub_dies(&mut self) {
        for entry in self.runs.values_mut() {
            entry.died |= entry.held && entry.function == "bound";
            entry.held &= entry.function != "bound";
        }
    }

    /// While the hub is away functions go on; some end.
    pub(crate) fn go_on(&mut self, clock: &impl Clock, dice: &mut Dice) {
        let going = self.runs.values_mut();
        for entry in going.filter(|entry| entry.held && entry.over.is_none()) {
            if entry.left < Duration::MAX && dice.once_in(2) {
                entry.over = Some(entry.kind.ending(clock.now()));
            }
        }
    }
}
