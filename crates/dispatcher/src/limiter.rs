//! Exact limits on accepted events per second: never more than N in any window of one second, and N when N are
//! offered. A token bucket of the same rate lets 2N through in its first second, and again after each idle one.
//!
//! Pure: time is passed in, as the time since some beginning.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use tripline_model::{FunctionName, TriggerName};

/// The window of every limit.
const WINDOW: Duration = Duration::from_secs(1);

/// Where the limiter's time begins in each life of the hub: the second before is that of the life before.
pub(crate) const LIFE_START: Duration = WINDOW;

/// The log of one limit: when each event of the last second was admitted. At most `limit` stamps of 16 bytes, or as many
/// as a life with a higher limit left.
#[derive(Debug)]
pub(crate) struct Window {
    limit: u32,
    stamps: VecDeque<Duration>,
}

/// All limits of a hub. An event takes from all of its own, or from none.
#[derive(Debug)]
pub(crate) struct Limiter {
    hub: Window,
    /// The part of the hub's limit that pull sources can use.
    pull: Window,
    functions: HashMap<FunctionName, Window>,
    triggers: HashMap<TriggerName, Window>,
    /// Events of pull sources that wait for their turn at the hub's limit.
    wanted: usize,
    /// Whether the hub's limit has held up one of those that wait for their turn.
    contended: bool,
    /// The latest time seen: callers race, and stamps must not go back.
    latest: Duration,
}

/// Who asks: somebody who can be told to come back, or somebody who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Push,
    Pull,
}

/// Whose bound it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Hub,
    Function,
    Trigger,
}

/// What one admitted event took, so that it can be given back.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    at: Duration,
    source: Source,
    function: FunctionName,
    trigger: Option<TriggerName>,
}

/// A used-up limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverLimit {
    pub(crate) scope: Scope,
    pub(crate) limit: u32,
    /// After exactly this time there is room for one.
    pub(crate) retry_after: Duration,
}

// === impl Window ===

impl Window {
    pub(crate) fn new(limit: NonZeroU32) -> Self {
        Self {
            limit: limit.get(),
            stamps: VecDeque::new(),
        }
    }

    /// How long until there is room for one beside `kept` others; zero if there is now. `now` never goes back.
    pub(crate) fn wait(&mut self, now: Duration, kept: usize) -> Duration {
        let free = self.room(now) as usize;
        if free > kept {
            return Duration::ZERO;
        }
        let last = self.stamps.len() + kept - self.limit as usize;
        match self.stamps.get(last) {
            Some(last) => *last + WINDOW - now,
            // All that there is is kept.
            None => WINDOW,
        }
    }

    /// How many there is room for.
    fn room(&mut self, now: Duration) -> u32 {
        while self.stamps.front().is_some_and(|at| now - *at >= WINDOW) {
            self.stamps.pop_front();
        }
        let taken = u32::try_from(self.stamps.len()).unwrap_or(u32::MAX);
        self.limit.saturating_sub(taken)
    }

    /// Takes one; `wait` must have answered zero before.
    pub(crate) fn take(&mut self, now: Duration) {
        self.stamps.push_back(now);
    }

    /// Gives one back that was taken at `at`, if it still counts.
    pub(crate) fn give_back(&mut self, at: Duration) {
        if let Ok(place) = self.stamps.binary_search(&at) {
            self.stamps.remove(place);
        }
    }
}

// === impl Limiter ===

impl Limiter {
    /// `push_share` is the percentage of `hub` that pull sources cannot use.
    pub(crate) fn new(
        hub: NonZeroU32,
        push_share: u8,
        functions: impl Iterator<Item = (FunctionName, NonZeroU32)>,
        triggers: &HashMap<TriggerName, NonZeroU32>,
    ) -> Self {
        let percent = u64::from(100 - push_share.min(100));
        let pull = u64::from(hub.get()) * percent / 100;
        let pull = u32::try_from(pull).ok().and_then(NonZeroU32::new);
        let window =
            |(name, limit): (&TriggerName, &NonZeroU32)| (name.clone(), Window::new(*limit));
        Self {
            hub: Window::new(hub),
            pull: Window::new(pull.unwrap_or(NonZeroU32::MIN)),
            functions: functions
                .map(|(name, limit)| (name, Window::new(limit)))
                .collect(),
            triggers: triggers.iter().map(window).collect(),
            wanted: 0,
            contended: false,
            latest: Duration::ZERO,
        }
    }

    /// Counts an event that the life before accepted at `at`, which is before [`LIFE_START`]. The oldest comes first.
    pub(crate) fn recall(
        &mut self,
        at: Duration,
        function: &FunctionName,
        trigger: Option<&TriggerName>,
    ) {
        let charge = Charge {
            at,
            // Which it was is not kept: what is shared among both kinds may be shared differently for a second.
            source: Source::Push,
            function: function.clone(),
            trigger: trigger.cloned(),
        };
        self.each(&charge, |_, window| window.take(at));
    }

    /// A pull source waits for its turn at the hub's limit with `now` events, and no longer with `before`. Once the limit
    /// held up one of those, what becomes free of the pull sources' part is theirs until none waits: a flood of calls
    /// would take it before they wake up.
    pub(crate) fn want(&mut self, before: usize, now: usize) {
        self.wanted = self.wanted + now - before;
        self.contended &= self.wanted > 0;
    }

    /// Whether one event may come in, or which limit keeps it out longest.
    pub(crate) fn check(
        &mut self,
        now: Duration,
        source: Source,
        function: &FunctionName,
        trigger: Option<&TriggerName>,
    ) -> Result<Charge, OverLimit> {
        self.latest = self.latest.max(now);
        let charge = Charge {
            at: self.latest,
            source,
            function: function.clone(),
            trigger: trigger.cloned(),
        };
        let kept = match source {
            Source::Push if self.contended => {
                let room = self.pull.room(charge.at) as usize;
                self.wanted.min(room)
            }
            Source::Push | Source::Pull => 0,
        };
        let mut worst: Option<OverLimit> = None;
        self.each(&charge, |scope, window| {
            let kept = if scope == Scope::Hub { kept } else { 0 };
            let retry_after = window.wait(charge.at, kept);
            let before = worst.map_or(Duration::ZERO, |worst| worst.retry_after);
            if retry_after > before {
                let limit = window.limit;
                worst = Some(OverLimit {
                    scope,
                    limit,
                    retry_after,
                });
            }
        });
        if let Some(refusal) = worst {
            let held_up = source == Source::Pull && refusal.scope == Scope::Hub;
            self.contended |= held_up && self.wanted > 0;
            return Err(refusal);
        }
        Ok(charge)
    }

    /// Takes what was checked. It counts from `now` on, which may be later than the check, if nothing else was taken
    /// in between.
    pub(crate) fn take(&mut self, charge: &mut Charge, now: Duration) {
        self.latest = self.latest.max(now);
        charge.at = self.latest;
        self.each(charge, |_, window| window.take(charge.at));
    }

    /// Gives back what an event took that was not accepted after all.
    pub(crate) fn give_back(&mut self, charge: &Charge) {
        self.each(charge, |_, window| window.give_back(charge.at));
    }

    fn each(&mut self, charge: &Charge, mut on: impl FnMut(Scope, &mut Window)) {
        on(Scope::Hub, &mut self.hub);
        if charge.source == Source::Pull {
            on(Scope::Hub, &mut self.pull);
        }
        if let Some(window) = self.functions.get_mut(&charge.function) {
            on(Scope::Function, window);
        }
        let trigger = charge.trigger.as_ref();
        if let Some(window) = trigger.and_then(|name| self.triggers.get_mut(name)) {
            on(Scope::Trigger, window);
        }
    }
}
