//! Panics that cost a part of the hub and not the hub.
//!
//! A panic leaves whatever it went through half done. Where that part can be given up alone (one request, one run of a
//! trigger), it is contained and its failure is told. Everywhere else the whole hub ends, and its next life recovers:
//! half dead is worse than dead.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a panic carried.
pub type Panic = Box<dyn Any + Send>;

/// A future whose panics are its result. See [`contain`].
pub struct Contained<F>(F);

thread_local! {
    /// How many containments this thread is in right now.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Makes the panics of `future` its result. Pin it first if need be. What it spawned is not contained.
pub fn contain<F: Future + Unpin>(future: F) -> Contained<F> {
    Contained(future)
}

/// Makes a panic of `call` its result.
///
/// # Errors
/// It panicked.
pub fn contain_call<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    DEPTH.set(DEPTH.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(call));
    DEPTH.set(DEPTH.get() - 1);
    done
}

/// Whether a panic of this thread would be contained now.
pub fn is_contained() -> bool {
    DEPTH.get() > 0
}

// === impl Contained ===

impl<F: Future + Unpin> Future for Contained<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match contain_call(|| Pin::new(&mut self.0).poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Waker;

    #[test]
    fn a_panic_is_a_result_and_containment_ends_with_it() {
        assert!(!is_contained());
        assert!(contain_call(is_contained).unwrap());
        let failed = contain_call(|| -> () { panic!("a fault of the test's own") });
        assert!(failed.is_err() && !is_contained());
    }

    #[test]
    fn a_future_is_contained_while_it_is_polled() {
        let mut cx = Context::from_waker(Waker::noop());
        let looking = pin!(async { is_contained() });
        let mut looking = contain(looking);
        let seen = Pin::new(&mut looking).poll(&mut cx);
        assert!(matches!(seen, Poll::Ready(Ok(true))));
        let failing = pin!(async { panic!("a fault of the test's own") });
        let mut failing = contain(failing);
        let seen: Poll<Result<(), Panic>> = Pin::new(&mut failing).poll(&mut cx);
        assert!(matches!(seen, Poll::Ready(Err(_))) && !is_contained());
    }
}
