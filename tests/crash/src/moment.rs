//! What a strike met: a campaign counts only if its strikes met the hub at every stage of its work.

use std::collections::BTreeMap;

use crate::history::Told;
use crate::ledger::Ledger;

/// How often strikes met something at each stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments(BTreeMap<&'static str, usize>);

/// A call without an answer: before or after its record was durable.
pub(crate) const CALL: &str = "a call on its way";
/// A receipt, and no function code yet.
pub(crate) const RECEIPT: &str = "a receipt, not started";
/// Function code that had begun.
pub(crate) const RUNNING: &str = "a function running";
/// Function code that was through, and nobody had been told.
pub(crate) const ENDED: &str = "an end that nobody knew";

/// Every stage, in the order of an invocation's life.
pub(crate) const STAGES: [&str; 4] = [CALL, RECEIPT, RUNNING, ENDED];

// === impl Moments ===

impl Moments {
    /// Counts a strike at each stage where there is something to meet. Called just before it falls.
    pub(crate) fn note(&mut self, told: &Told, ledger: &Ledger) {
        let known_end = |id: &str| {
            let state = told.seen.get(id).map(String::as_str);
            !matches!(state, None | Some("accepted" | "running"))
        };
        let met = [
            (CALL, told.on_their_way() > 0),
            (
                RECEIPT,
                told.receipts()
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
            *self.0.entry(stage).or_default() += usize::from(was_met);
        }
    }

    /// How many strikes met this stage.
    pub(crate) fn of(&self, stage: &str) -> usize {
        self.0.get(stage).copied().unwrap_or(0)
    }
}
