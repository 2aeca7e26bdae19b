//! What a timer does next, decided from the last tick dealt with and the time now. Pure: no clock, no waiting.

use std::time::Duration;

use tripline_model::Timestamp;

use crate::config::{Config, Misfire};
use crate::event::Tick;

/// Counting missed ticks stops here: a hub that was off for a year must not spend its start on counting seconds.
pub(crate) const MAX_COUNTED: u64 = 10_000;

/// One timer's plan.
pub(crate) struct Planner<'c> {
    config: &'c Config,
    /// A tick this late has just been kept waiting; later than this it was missed.
    grace: Duration,
    /// The last instant that was dealt with; nothing at or before it fires again.
    base: Timestamp,
    next: Option<Timestamp>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Fire now.
    Fire(Tick),
    /// Give these up: all up to and including the tick's instant.
    GiveUp(Tick),
    /// Nothing until then.
    Wait(Timestamp),
    /// The schedule has ended.
    Never,
}

// === impl Planner ===

impl<'c> Planner<'c> {
    /// A plan that begins after `base`.
    pub(crate) fn new(config: &'c Config, grace: Duration, base: Timestamp) -> Self {
        let next = config.schedule.next_after(base);
        Self {
            config,
            grace,
            base,
            next,
        }
    }

    /// The last instant that was dealt with.
    pub(crate) fn base(&self) -> Timestamp {
        self.base
    }

    /// What to do at `now`. Costs next to nothing while there is nothing to do: it is asked before every wait.
    pub(crate) fn plan(&self, now: Timestamp) -> Plan {
        let Some(next) = self.next else {
            return Plan::Never;
        };
        if next > now {
            return Plan::Wait(next);
        }
        if now.since(next) <= self.grace {
            let (at, missed) = (next, 0);
            return Plan::Fire(Tick { at, missed });
        }
        // Everything that is late beyond the grace goes at once, found from its end: there may be very many.
        let schedule = &self.config.schedule;
        let horizon = now.minus(self.grace).minus(Duration::from_millis(1));
        let at = schedule.last_until(horizon).unwrap_or(next).max(next);
        let missed = schedule.count(self.base, at, MAX_COUNTED);
        let tick = Tick { at, missed };
        match self.config.misfire {
            Misfire::FireOnce if now.since(at) <= self.config.deadline => Plan::Fire(tick),
            Misfire::FireOnce | Misfire::Skip => Plan::GiveUp(tick),
        }
    }

    /// Says that everything up to and including `at` was dealt with.
    pub(crate) fn done(&mut self, at: Timestamp) {
        self.base = at;
        self.next = self.config.schedule.next_after(at);
    }
}

#[cfg(test)]
mod tests;
