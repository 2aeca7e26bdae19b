//! Whose move it is on a connection: the peer's, to send a request, or the application's, to respond to it.

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

/// The exchanges of one connection: requests with their responses. Clones share them.
#[derive(Clone)]
pub(crate) struct Exchanges(Arc<Shared>);

struct Shared {
    /// How many exchanges began plus how many ended: odd while a request is with the application.
    transitions: AtomicUsize,
    /// 0 while the peer is not waited for, else [`Waiting`] as [`encoded`].
    waiting: AtomicU64,
    /// A part of a response is still to be sent.
    is_unsent: AtomicBool,
    /// The connection's task, woken when an exchange ends.
    connection: AtomicWaker,
    /// Signalled when the body is to be waited for no longer.
    abort_body: Notify,
    /// What moments in [`Waiting`] count from: the listener's start.
    epoch: Instant,
    /// Signalled when the connection begins to wait for its peer.
    changed: Arc<Notify>,
}

/// What the peer is to send, and since when that is waited for, counted from the listener's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The next request.
    ForHead(Duration),
    /// The rest of a body.
    ForBody(Duration),
}

/// A request that is with the application. Dropping it ends the exchange.
pub(crate) struct Exchange(Exchanges);

/// A body that is being read. Dropping it ends the wait for the peer.
pub(crate) struct BodyRead(Exchanges);

/// A response's body, which ends its exchange.
pub(crate) struct ExchangeBody {
    body: Body,
    _exchange: Exchange,
}

// === impl Exchanges ===

impl Exchanges {
    /// Those of a connection that waiting for its first request. `changed` is signalled whenever it begins to wait for its
    /// peer.
    pub(crate) fn new(epoch: Instant, changed: Arc<Notify>) -> Self {
        let exchanges = Self(Arc::new(Shared {
            transitions: AtomicUsize::new(0),
            waiting: AtomicU64::new(0),
            is_unsent: AtomicBool::new(false),
            connection: AtomicWaker::new(),
            abort_body: Notify::new(),
            epoch,
            changed,
        }));
        exchanges.wait_for(Waiting::ForHead);
        exchanges
    }

    /// The application gets a request now.
    pub(crate) fn begin(&self) -> Exchange {
        self.wait_for_nothing();
        self.0.transitions.fetch_add(1, Ordering::AcqRel);
        Exchange(self.clone())
    }

    /// The application reads a body until the guard is dropped.
    pub(crate) fn begin_body(&self) -> BodyRead {
        self.wait_for(Waiting::ForBody);
        BodyRead(self.clone())
    }

    /// The connection's task is polled again when this exchange ends: its deadline is another one then.
    pub(crate) fn wake_when_ended(&self, cx: &Context<'_>) {
        self.0.connection.register(cx.waker());
    }

    /// Ends the wait for the body that is being read.
    pub(crate) fn abort_body(&self) {
        self.0.abort_body.notify_one();
    }

    /// How many exchanges began plus how many ended: an even number while a head is awaited.
    pub(crate) fn transitions(&self) -> usize {
        self.0.transitions.load(Ordering::Acquire)
    }

    /// What the peer is to send; `None` while the application works or a response is being sent.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        let is_unsent = self.0.is_unsent.load(Ordering::Acquire);
        let waiting = decoded(self.0.waiting.load(Ordering::Acquire));
        waiting.filter(|_| !is_unsent)
    }

    /// A part of a response was written, and more may follow.
    pub(crate) fn mark_unsent(&self) {
        self.0.is_unsent.store(true, Ordering::Release);
    }

    /// Everything written was sent.
    pub(crate) fn mark_sent(&self) {
        if self.0.is_unsent.swap(false, Ordering::AcqRel) && self.waiting().is_some() {
            self.0.changed.notify_one();
        }
    }

    fn wait_for(&self, what: impl FnOnce(Duration) -> Waiting) {
        let waiting = encoded(what(self.0.epoch.elapsed()));
        self.0.waiting.store(waiting, Ordering::Release);
        self.0.changed.notify_one();
    }

    fn wait_for_nothing(&self) {
        self.0.waiting.store(0, Ordering::Release);
    }
}

fn encoded(waiting: Waiting) -> u64 {
    let (since, body) = match waiting {
        Waiting::ForHead(since) => (since, 0),
        Waiting::ForBody(since) => (since, 1),
    };
    // Microseconds in 63 bits last for 292,000 years. One more than the time itself: 0 means that nothing is awaited.
    let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX >> 2);
    ((micros + 1) << 1) | body
}

fn decoded(waiting: u64) -> Option<Waiting> {
    let since = Duration::from_micros((waiting >> 1).checked_sub(1)?);
    Some(match waiting & 1 {
        0 => Waiting::ForHead(since),
        _ => Waiting::ForBody(since),
    })
}

// === impl Exchange ===

impl Exchange {
    /// Ends the exchange with the end of the response's body.
    pub(crate) fn end_with(self, body: Body) -> ExchangeBody {
        ExchangeBody {
            body,
            _exchange: self,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.0.transitions.fetch_add(1, Ordering::AcqRel);
        self.0.wait_for(Waiting::ForHead);
        self.0.0.connection.wake();
    }
}

// === impl BodyRead ===

impl BodyRead {
    /// Completes when the body is to be waited for no longer.
    pub(crate) async fn aborted(&self) {
        self.0.0.abort_body.notified().await;
    }
}

impl Drop for BodyRead {
    fn drop(&mut self) {
        self.0.wait_for_nothing();
    }
}

// === impl ExchangeBody ===

impl HttpBody for ExchangeBody {
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
    fn encoding_keeps_the_moment_and_the_kind() {
        for since in [0, 1, 999, 86_400_000_000_000] {
            let since = Duration::from_micros(since);
            for waiting in [Waiting::ForHead(since), Waiting::ForBody(since)] {
                assert_eq!(decoded(encoded(waiting)), Some(waiting));
            }
        }
        assert_eq!(decoded(0), None);
    }
}
