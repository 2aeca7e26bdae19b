//! The one place where developer jobs read a clock and wait.

use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::{signals, sweep};

/// How often waits look again: short enough not to be felt, long enough to cost nothing.
const TICK: Duration = Duration::from_millis(50);

/// A running stopwatch.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

// === impl Stopwatch ===

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a job times itself; nobody could pass it a clock"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// For people: `0.8 s`, `3 min 04 s`.
    pub(crate) fn text(self) -> String {
        text(self.elapsed())
    }
}

/// A duration for people: `0.8 s`, `3 min 04 s`.
pub(crate) fn text(duration: Duration) -> String {
    if duration < Duration::from_secs(60) {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    let seconds = duration.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// One step of a wait. Also buries orphans that ended meanwhile, see [`sweep::reap_adopted`].
pub(crate) fn tick() {
    thread::sleep(TICK);
    sweep::reap_adopted();
}

/// Asks `probe` until it has an answer; gives up after `limit` or on a signal to stop.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let watch = Stopwatch::start();
    loop {
        signals::check()?;
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if watch.elapsed() >= limit {
            return Err(Failure::new(format!("{what}: not within {}", text(limit))));
        }
        tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        assert_eq!(text(Duration::from_millis(840)), "0.8 s");
        assert_eq!(text(Duration::from_secs(184)), "3 min 04 s");
    }

    #[test]
    fn a_wait_ends_at_its_limit_and_says_what_it_waited_for() {
        let nothing = wait_for::<()>("kettle boils", Duration::ZERO, || Ok(None));
        let Err(Failure::Message(message)) = nothing else {
            panic!("the wait did not fail")
        };
        assert!(message.contains("kettle boils"), "{message}");
    }
}
