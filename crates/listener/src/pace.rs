//! Deadlines for a connection's bytes: a head that trickles in, a connection that lies idle, a reader that does not
//! read. They are kept where the bytes pass, so that the application cannot forget them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From a head's first byte to its end.
    pub(crate) header: Duration,
    /// Without a byte between two requests, or without a byte of an answer being taken.
    pub(crate) idle: Duration,
}

/// Counts the turns of a connection: odd while a request is with the application, even while the next is awaited.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<AtomicUsize>);

/// A request that is with the application; over when dropped.
pub(crate) struct Turn(Turns);

/// A stream with deadlines.
pub(crate) struct Paced<IO> {
    io: IO,
    limits: Limits,
    turns: Turns,
    /// The turn that `read_by` belongs to.
    seen: usize,
    /// Whether a byte of the awaited head has come.
    in_head: bool,
    read_by: Pin<Box<Sleep>>,
    write_by: Option<Pin<Box<Sleep>>>,
}

/// An answer's body, which ends its turn.
pub(crate) struct TurnBody {
    body: Body,
    _turn: Turn,
}

// === impl Turns ===

impl Turns {
    /// The application gets a request now.
    pub(crate) fn begin(&self) -> Turn {
        self.0.fetch_add(1, Ordering::AcqRel);
        Turn(self.clone())
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
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
        self.0.0.fetch_add(1, Ordering::AcqRel);
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

// === impl Paced ===

impl<IO> Paced<IO> {
    /// The first head must be there by `head_by`.
    pub(crate) fn new(io: IO, limits: Limits, turns: Turns, head_by: Instant) -> Self {
        Self {
            io,
            limits,
            seen: turns.now(),
            turns,
            // The first request has no idle time before it.
            in_head: true,
            read_by: Box::pin(sleep_until(head_by)),
            write_by: None,
        }
    }

    /// Notices a turn that began or ended since the last look.
    fn look_at_turn(&mut self) {
        let now = self.turns.now();
        if now != self.seen {
            self.seen = now;
            self.in_head = false;
            self.read_by
                .as_mut()
                .reset(Instant::now() + self.limits.idle);
        }
    }

    fn awaits_head(&self) -> bool {
        self.seen.is_multiple_of(2)
    }

    /// Passes a write's outcome on, unless it has been standing still for too long.
    fn written<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_by = None;
            return outcome;
        }
        let idle = self.limits.idle;
        let write_by = self
            .write_by
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + idle)));
        ready!(write_by.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer does not read",
        )))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Paced<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.look_at_turn();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.io).poll_read(cx, buf);
        if !this.awaits_head() {
            return outcome;
        }
        if outcome.is_pending() || this.in_head {
            if this.read_by.as_mut().poll(cx).is_ready() {
                let late = io::Error::new(io::ErrorKind::TimedOut, "no request head in time");
                return Poll::Ready(Err(late));
            }
        } else if buf.filled().len() > before {
            this.in_head = true;
            let head_by = Instant::now() + this.limits.header;
            this.read_by.as_mut().reset(head_by);
        }
        outcome
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Paced<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, data);
        self.written(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.written(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(cx);
        self.written(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.written(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
