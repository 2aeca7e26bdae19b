//! How many invocations of a function are in which state at one moment: waiting, running, or ended.

use std::collections::BTreeMap;

use metrics::{counter, gauge};
use tripline_model::{End, FunctionName, InvocationState, TriggerName};

/// The invocations of one function that this life of the hub has to do with. Every change moves one invocation from one
/// state to another, so the sum over the states is always what was accepted or recovered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InvocationCounts {
    accepted: BTreeMap<Option<TriggerName>, u64>,
    /// Left by earlier lives, not over then.
    recovered: u64,
    /// Below zero for a moment where one is ended before its acceptance is booked.
    waiting: i64,
    running: u64,
    ended: BTreeMap<&'static str, u64>,
}

// === impl InvocationCounts ===

impl InvocationCounts {
    /// What earlier lives left: some wait, and some were found lost.
    pub(crate) fn recovered(waiting: u64, lost: u64) -> Self {
        let mut counts = Self {
            recovered: waiting + lost,
            waiting: i64::try_from(waiting).unwrap_or(i64::MAX),
            ..Self::default()
        };
        if lost > 0 {
            counts.ended.insert(End::Lost.as_str(), lost);
        }
        counts
    }

    /// One more of earlier lives: it runs.
    pub(crate) fn resumed(&mut self) {
        self.recovered += 1;
        self.running += 1;
    }

    pub(crate) fn running(&self) -> u64 {
        self.running
    }

    pub(crate) fn accepted(&mut self, trigger: Option<&TriggerName>) {
        *self.accepted.entry(trigger.cloned()).or_default() += 1;
        self.waiting += 1;
    }

    pub(crate) fn started(&mut self) {
        self.waiting -= 1;
        self.running += 1;
    }

    pub(crate) fn ended(&mut self, end: End) {
        match end {
            // Only what was not started ends so, and it ends in no other way.
            End::Expired | End::Cancelled => self.waiting -= 1,
            End::Succeeded | End::Failed | End::TimedOut | End::Terminated | End::Lost => {
                self.running -= 1;
            }
        }
        *self.ended.entry(end.as_str()).or_default() += 1;
    }

    /// Writes the numbers where `/metrics` reads them; zeros, too, for an alert does not see a counter that begins at one.
    /// (Of triggers it knows only those that something came from.)
    pub(crate) fn show(&self, function: &FunctionName) {
        let function = function.to_string();
        let nothing_yet = (&None, &0);
        for (trigger, count) in std::iter::once(nothing_yet).chain(&self.accepted) {
            let trigger = trigger.as_ref().map_or("", |name| name.as_str()).to_owned();
            counter!("tripline_accepted_total", "function" => function.clone(), "trigger" => trigger)
                .absolute(*count);
        }
        for state in InvocationState::ALL.iter().filter(|state| state.is_end()) {
            let count = self.ended.get(state.as_str()).copied().unwrap_or(0);
            counter!("tripline_invocations_ended_total", "function" => function.clone(), "state" => state.as_str())
                .absolute(count);
        }
        counter!("tripline_recovered_total", "function" => function.clone())
            .absolute(self.recovered);
        let (waiting, running) = (self.waiting as f64, self.running as f64);
        gauge!("tripline_queued", "function" => function.clone()).set(waiting);
        gauge!("tripline_running", "function" => function).set(running);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came_in(counts: &InvocationCounts) -> i64 {
        (counts.accepted.values().sum::<u64>() + counts.recovered) as i64
    }

    fn is_somewhere(counts: &InvocationCounts) -> i64 {
        counts.waiting + (counts.running + counts.ended.values().sum::<u64>()) as i64
    }

    #[test]
    fn what_came_in_is_somewhere_after_every_step() {
        let trigger = TriggerName::new("trigger").unwrap();
        let mut counts = InvocationCounts::recovered(2, 3);
        let steps: [fn(&mut InvocationCounts, &TriggerName); 8] = [
            |counts, _| counts.resumed(),
            |counts, trigger| counts.accepted(Some(trigger)),
            |counts, _| counts.accepted(None),
            |counts, _| counts.started(),
            |counts, _| counts.ended(End::Failed),
            |counts, _| counts.ended(End::Cancelled),
            |counts, _| counts.ended(End::Expired),
            |counts, _| counts.ended(End::Succeeded),
        ];
        for (place, step) in steps.iter().enumerate() {
            step(&mut counts, &trigger);
            assert_eq!(
                came_in(&counts),
                is_somewhere(&counts),
                "step {place}: {counts:?}"
            );
        }
        assert_eq!((counts.waiting, counts.running), (1, 0));
    }
}
