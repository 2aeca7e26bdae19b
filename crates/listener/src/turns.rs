//! Whose turn it is on a connection: the peer's, to send a request, or the application's, to answer it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The turns of one connection. Clones share them.
#[derive(Clone)]
pub(crate) struct Turns(Arc<State>);

struct State {
    /// Odd while a request is with the application, even while the next is awaited.
    count: AtomicUsize,
    /// 0 while nothing of the peer is waited for, else [`Waits`] as [`encoded`].
    waits: AtomicU64,
    /// A part of an answer is still to be sent.
    unsent: AtomicBool,
    /// Who is to look again when a turn is over.
    connection: AtomicWaker,
    /// The body is to be waited for no longer.
    give_up: Notify,
    born: Instant,
    /// Told when the connection begins to wait.
    changed: Arc<Notify>,
}

/// What of the peer is waited for, and since when, counted from the listener's birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// The next request.
    ForHead(Duration),
    /// The rest of a body.
    ForBody(Duration),
}

/// A request that is with the application; over when dropped.
pub(crate) struct Turn(Turns);

/// A body that is being read; over when dropped.
pub(crate) struct Reading(Turns);

/// An answer's body, which ends its turn.
pub(crate) struct TurnBody {
    body: Body,
    _turn: Turn,
}

// === impl Turns ===

impl Turns {
    /// A connection that waits for its first request. `changed` is told whenever it begins to wait for another.
    pub(crate) fn new(born: Instant, changed: Arc<Notify>) -> Self {
        let turns = Self(Arc::new(State {
            count: AtomicUsize::new(0),
            waits: AtomicU64::new(0),
            unsent: AtomicBool::new(false),
            connection: AtomicWaker::new(),
            give_up: Notify::new(),
            born,
            changed,
        }));
        turns.wait_for(Waits::ForHead);
        turns
    }

    /// The application gets a request now.
    pub(crate) fn begin(&self) -> Turn {
        self.wait_for_nothing();
        self.0.count.fetch_add(1, Ordering::AcqRel);
        Turn(self.clone())
    }

    /// The application waits for a body until the guard is dropped.
    pub(crate) fn reading(&self) -> Reading {
        self.wait_for(Waits::ForBody);
        Reading(self.clone())
    }

    /// The connection's task is to be polled again when this turn is over: what it waits for is another thing then.
    pub(crate) fn wake_when_over(&self, cx: &Context<'_>) {
        self.0.connection.register(cx.waker());
    }

    /// Whoever waits for the body gives up.
    pub(crate) fn give_up(&self) {
        self.0.give_up.notify_one();
    }

    /// How many turns began and ended: an even number while a head is awaited.
    pub(crate) fn now(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// What is waited for; `None` while the application works or an answer is on its way.
    pub(crate) fn waits(&self) -> Option<Waits> {
        let unsent = self.0.unsent.load(Ordering::Acquire);
        let waits = decoded(self.0.waits.load(Ordering::Acquire));
        waits.filter(|_| !unsent)
    }

    /// A part of an answer was written, and more may follow.
    pub(crate) fn sending(&self) {
        self.0.unsent.store(true, Ordering::Release);
    }

    /// Everything written was sent.
    pub(crate) fn sent(&self) {
        if self.0.unsent.swap(false, Ordering::AcqRel) && self.waits().is_some() {
            self.0.changed.notify_one();
        }
    }

    fn wait_for(&self, what: impl FnOnce(Duration) -> Waits) {
        let waits = encoded(what(self.0.born.elapsed()));
        self.0.waits.store(waits, Ordering::Release);
        self.0.changed.notify_one();
    }

    fn wait_for_nothing(&self) {
        self.0.waits.store(0, Ordering::Release);
    }
}

fn encoded(waits: Waits) -> u64 {
    let (since, body) = match waits {
        Waits::ForHead(since) => (since, 0),
        Waits::ForBody(since) => (since, 1),
    };
    // Microseconds in 63 bits last for 292,000 years; 0 is taken.
    let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX >> 2);
    ((micros + 1) << 1) | body
}

fn decoded(waits: u64) -> Option<Waits> {
    let since = Duration::from_micros((waits >> 1).checked_sub(1)?);
    Some(match waits & 1 {
        0 => Waits::ForHead(since),
        _ => Waits::ForBody(since),
    })
}

// === impl Turn ===

impl Turn {
    /// Ends the turn with the end of the body.
    pub(crate) fn over(self, body: Body) -> TurnBody {
        TurnBody { body, _turn: self }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.count.fetch_add(1, Ordering::AcqRel);
        self.0.wait_for(Waits::ForHead);
        self.0.0.connection.wake();
    }
}

// === impl Reading ===

impl Reading {
    /// Comes when the body is to be waited for no longer.
    pub(crate) async fn given_up(&self) {
        self.0.0.give_up.notified().await;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.wait_for_nothing();
    }
}

// === impl TurnBody ===

impl HttpBody for TurnBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_keep_their_moment_and_their_kind() {
        for since in [0, 1, 999, 86_400_000_000_000] {
            let since = Duration::from_micros(since);
            for waits in [Waits::ForHead(since), Waits::ForBody(since)] {
                assert_eq!(decoded(encoded(waits)), Some(waits));
            }
        }
        assert_eq!(decoded(0), None);
    }
}
