//! How many runs a function has at the same time. What an earlier life of the hub left running takes a slot in any
//! case, also when there are fewer now: then none is free until enough of them are gone.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// The slots of one function.
pub(crate) struct Slots {
    free: Semaphore,
    /// Slots that are taken beyond those there are.
    beyond: AtomicUsize,
}

/// A taken slot, until it is dropped.
pub(crate) struct Slot(Arc<Slots>);

// === impl Slots ===

impl Slots {
    pub(crate) fn new(count: NonZeroU32) -> Arc<Self> {
        let count = usize::try_from(count.get()).unwrap_or(usize::MAX);
        Arc::new(Self {
            free: Semaphore::new(count.min(Semaphore::MAX_PERMITS)),
            beyond: AtomicUsize::new(0),
        })
    }

    /// Waits for a free slot.
    pub(crate) async fn take(self: &Arc<Self>) -> Slot {
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
        }
        Slot(self.clone())
    }

    /// Takes a slot, free or not.
    pub(crate) fn take_any(self: &Arc<Self>) -> Slot {
        match self.free.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => {
                self.beyond.fetch_add(1, Ordering::AcqRel);
            }
        }
        Slot(self.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let less = |beyond: usize| beyond.checked_sub(1);
        let was_beyond = self
            .0
            .beyond
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        if was_beyond.is_err() {
            self.0.free.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_was_taken_beyond_is_given_back_first() {
        let slots = Slots::new(NonZeroU32::new(2).unwrap());
        let mut taken: Vec<_> = (0..4).map(|_| slots.take_any()).collect();
        for left in [3, 2] {
            taken.pop();
            assert!(slots.take().now_or_never().is_none(), "{left} are taken");
        }
        taken.pop();
        let next = slots.take().now_or_never();
        assert!(next.is_some(), "one of two is taken");
        assert!(slots.take().now_or_never().is_none(), "both are taken");
        drop((taken, next));
        let both = [slots.take().now_or_never(), slots.take().now_or_never()];
        assert!(both.iter().all(Option::is_some));
        assert!(slots.take().now_or_never().is_none());
    }
}
