//! Limits the memory of bodies that come in and of results that go out, for all requests of a listener together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exchange::Exchanges;

/// A body of up to so many bytes is not counted: the limit on connections bounds those well enough.
pub(crate) const UNCOUNTED_BYTES: usize = 16 * 1024;

/// The memory of a listener for bodies.
pub(crate) struct Bodies {
    max: usize,
    taken: AtomicUsize,
}

/// The part of that memory that one body takes. Free again when dropped: keep it for as long as you hold the only copy
/// of the body, and no longer.
#[derive(Default)]
pub struct Share {
    of: Option<Arc<Bodies>>,
    taken: usize,
}

/// What reading a request's body needs; an extension of the request.
#[derive(Clone)]
pub(crate) struct BodyContext {
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) exchanges: Exchanges,
}

// === impl Bodies ===

impl Bodies {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let taken = AtomicUsize::new(0);
        Arc::new(Self { max, taken })
    }
}

// === impl Share ===

impl Share {
    pub(crate) fn of(bodies: Arc<Bodies>) -> Self {
        Self {
            of: Some(bodies),
            taken: 0,
        }
    }

    /// The body has `length` bytes now. Returns whether there is room for them.
    pub(crate) fn grow_to(&mut self, length: usize) -> bool {
        self.take(length, |sum, _, max| sum <= max)
    }

    /// The body has `length` bytes, even more than the whole memory if it is the only one. Returns whether there is room.
    pub(crate) fn takes_or_is_first(&mut self, length: usize) -> bool {
        self.take(length, |sum, before, max| sum <= max || before == 0)
    }

    /// Takes what is missing to `length`, if `allowed(sum with it, sum before, maximum)`.
    fn take(&mut self, length: usize, allowed: impl Fn(usize, usize, usize) -> bool) -> bool {
        let Some(bodies) = &self.of else {
            return true;
        };
        let wanted = if length > UNCOUNTED_BYTES { length } else { 0 };
        let more = wanted.saturating_sub(self.taken);
        if more == 0 {
            // Even while a result that is larger than the whole memory is being sent.
            return true;
        }
        let fits = |taken: usize| {
            let sum = taken.checked_add(more)?;
            allowed(sum, taken, bodies.max).then_some(sum)
        };
        let has_room = bodies
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .is_ok();
        if has_room {
            self.taken += more;
        }
        has_room
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(bodies) = &self.of {
            bodies.taken.fetch_sub(self.taken, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_much_and_it_comes_back() {
        let bodies = Bodies::new(100 * 1024);
        let mut first = Share::of(Arc::clone(&bodies));
        assert!(first.grow_to(60 * 1024) && first.grow_to(80 * 1024));
        let mut second = Share::of(Arc::clone(&bodies));
        assert!(
            second.grow_to(UNCOUNTED_BYTES),
            "a small body is not counted"
        );
        assert!(second.grow_to(20 * 1024));
        assert!(!second.grow_to(20 * 1024 + 1));
        drop(first);
        assert!(second.grow_to(100 * 1024));
        drop(second);
        assert_eq!(bodies.taken.load(Ordering::Acquire), 0);
    }

    #[test]
    fn small_ones_fit_beside_one_that_is_larger_than_all() {
        let bodies = Bodies::new(100 * 1024);
        let mut result = Share::of(Arc::clone(&bodies));
        assert!(result.takes_or_is_first(200 * 1024));
        let mut body = Share::of(Arc::clone(&bodies));
        assert!(body.grow_to(1024) && body.grow_to(UNCOUNTED_BYTES));
        let mut other = Share::of(Arc::clone(&bodies));
        assert!(other.takes_or_is_first(1024));
        assert!(
            !body.grow_to(UNCOUNTED_BYTES + 1) && !other.takes_or_is_first(UNCOUNTED_BYTES + 1)
        );
    }

    #[test]
    fn without_a_listener_nothing_is_counted() {
        assert!(Share::default().grow_to(usize::MAX));
    }
}
