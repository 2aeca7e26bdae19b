//! How many invocations of a function are where, at one moment: what was accepted or recovered waits, runs, or is over.

use std::collections::BTreeMap;

use metrics::{counter, gauge};
use tripline_model::{End, FunctionName, TriggerName};

/// The invocations of one function that this life of the hub has to do with. Every change moves one invocation from
/// one place to another, so that the sum over the places is what came in, whenever it is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census {
    accepted: BTreeMap<Option<TriggerName>, u64>,
    /// Left by earlier lives, not over then.
    recovered: u64,
    /// Below zero for a moment where one is ended before its acceptance is booked.
    waiting: i64,
    running: u64,
    ended: BTreeMap<&'static str, u64>,
}

// === impl Census ===

impl Census {
    /// What earlier lives left: some wait, and some were found lost.
    pub(crate) fn recovered(waiting: u64, lost: u64) -> Self {
        let mut census = Self {
            recovered: waiting + lost,
            waiting: i64::try_from(waiting).unwrap_or(i64::MAX),
            ..Self::default()
        };
        if lost > 0 {
            census.ended.insert(End::Lost.as_str(), lost);
        }
        census
    }

    /// One more of earlier lives: it runs.
    pub(crate) fn resumed(&mut self) {
        self.recovered += 1;
        self.running += 1;
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

    /// Writes the numbers where `/metrics` reads them.
    pub(crate) fn show(&self, function: &FunctionName) {
        let function = function.to_string();
        for (trigger, count) in &self.accepted {
            let trigger = trigger.as_ref().map_or("", |name| name.as_str()).to_owned();
            counter!("tripline_accepted_total", "function" => function.clone(), "trigger" => trigger)
                .absolute(*count);
        }
        for (state, count) in &self.ended {
            counter!("tripline_invocations_ended_total", "function" => function.clone(), "state" => *state)
                .absolute(*count);
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

    fn came_in(census: &Census) -> i64 {
        (census.accepted.values().sum::<u64>() + census.recovered) as i64
    }

    fn is_somewhere(census: &Census) -> i64 {
        census.waiting + (census.running + census.ended.values().sum::<u64>()) as i64
    }

    #[test]
    fn what_came_in_is_somewhere_after_every_step() {
        let trigger = TriggerName::new("trigger").unwrap();
        let mut census = Census::recovered(2, 3);
        let steps: [fn(&mut Census, &TriggerName); 8] = [
            |census, _| census.resumed(),
            |census, trigger| census.accepted(Some(trigger)),
            |census, _| census.accepted(None),
            |census, _| census.started(),
            |census, _| census.ended(End::Failed),
            |census, _| census.ended(End::Cancelled),
            |census, _| census.ended(End::Expired),
            |census, _| census.ended(End::Succeeded),
        ];
        for (place, step) in steps.iter().enumerate() {
            step(&mut census, &trigger);
            assert_eq!(
                came_in(&census),
                is_somewhere(&census),
                "step {place}: {census:?}"
            );
        }
        assert_eq!((census.waiting, census.running), (1, 0));
    }
}
