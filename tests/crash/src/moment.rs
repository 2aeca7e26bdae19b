//! What a strike met: a campaign counts only if its strikes met the hub at every stage of its work.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Facts;
use crate::history::Observations;
use crate::ledger::Ledger;

/// What strikes met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    /// How often something at each stage.
    met: BTreeMap<&'static str, usize>,
    /// What ran while there was no hub, and its executor lived.
    without_hub: BTreeSet<String>,
}

/// A call without an answer: before or after its record was durable.
pub(crate) const CALL: &str = "a call on its way";
/// A receipt, and no function code yet.
pub(crate) const RECEIPT: &str = "a receipt, not started";
/// Function code that had begun.
pub(crate) const RUNNING: &str = "a function running";
/// Function code that was through, and the one who looks had not seen it; the hub may have known: [`World::recovered`] says
/// what it had still to find out.
///
/// [`World::recovered`]: crate::world::World::recovered
pub(crate) const ENDED: &str = "an end that nobody had seen";

/// Every stage, in the order of an invocation's life.
pub(crate) const STAGES: [&str; 4] = [CALL, RECEIPT, RUNNING, ENDED];

// === impl Moments ===

impl Moments {
    /// Counts a strike at each stage where there is something to meet. Called just before it falls.
    pub(crate) fn note(&mut self, observed: &Observations, ledger: &Ledger) {
        let known_end = |id: &str| {
            let state = observed.seen.get(id).map(String::as_str);
            !matches!(state, None | Some("accepted" | "running"))
        };
        let met = [
            (CALL, observed.on_their_way() > 0),
            (
                RECEIPT,
                observed
                    .receipts()
                    .any(|(_, id)| !ledger.contains_key(id) && !known_end(id)),
            ),
            (
                RUNNING,
                ledger
                    .iter()
                    .any(|(id, deeds)| deeds.ends == 0 && !known_end(id)),
            ),
            (
                ENDED,
                ledger
                    .iter()
                    .any(|(id, deeds)| deeds.ends > 0 && !known_end(id)),
            ),
        ];
        for (stage, was_met) in met {
            *self.met.entry(stage).or_default() += usize::from(was_met);
        }
    }

    /// Notes what runs now that the hub is dead, and the hub alone.
    pub(crate) fn note_without_hub(&mut self, ledger: &Ledger) {
        let running = ledger.iter().filter(|(_, deeds)| deeds.ends == 0);
        self.without_hub.extend(running.map(|(id, _)| id.clone()));
    }

    /// How many of those ended well, as their next hub says.
    pub(crate) fn went_on(&self, facts: &Facts) -> usize {
        let ended_well = facts
            .invocations
            .iter()
            .filter(|one| one.state == "succeeded");
        ended_well
            .filter(|one| self.without_hub.contains(&one.id))
            .count()
    }

    /// Whether strikes met every stage.
    pub(crate) fn are_all_met(&self) -> bool {
        STAGES.iter().all(|stage| self.of(stage) > 0)
    }

    /// How many strikes met this stage.
    pub(crate) fn of(&self, stage: &str) -> usize {
        self.met.get(stage).copied().unwrap_or(0)
    }
}
