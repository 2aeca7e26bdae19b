//! Deadlines for a connection's bytes: against a head that trickles in, a connection that is idle, a peer that does not
//! read. They are kept where the bytes pass, so that the application cannot forget them. A peer that sends something
//! other than a request gets the reason from here.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::exchange::Exchanges;
use crate::raw_responses;

/// What a peer must read of a response on average, in bytes a second, once it lags behind.
const MIN_READ_RATE: f64 = 1024.0;

/// How long bytes are read and discarded after the last response: closing a connection with unread bytes resets it, and
/// the peer may lose the response.
const MAX_CLOSE_DRAIN: Duration = Duration::from_secs(1);

/// The time limits of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From a head's first byte to its end.
    pub(crate) header: Duration,
    /// Without a byte between two requests, or without a byte of a response being read.
    pub(crate) idle: Duration,
}

/// A stream with deadlines.
pub(crate) struct Paced<IO> {
    io: IO,
    limits: Limits,
    exchanges: Exchanges,
    /// The number of transitions that `read_by` belongs to.
    seen_transitions: usize,
    /// Whether `read_by` is the deadline of a head, not of the idle time before it.
    in_head: bool,
    /// Whether a byte of the awaited head has been read.
    has_head_bytes: bool,
    read_by: Pin<Box<Sleep>>,
    write_by: Option<Pin<Box<Sleep>>>,
    /// Everything that was written is sent.
    all_sent: bool,
    /// What is sent instead of hyper's own bare response, and how many bytes of it were.
    replacement: Option<(Vec<u8>, usize)>,
    is_shut: bool,
    drain_by: Option<Pin<Box<Sleep>>>,
}

// === impl Paced ===

impl<IO> Paced<IO> {
    /// The first head must be there by `head_by`.
    pub(crate) fn new(io: IO, limits: Limits, exchanges: Exchanges, head_by: Instant) -> Self {
        Self {
            io,
            limits,
            seen_transitions: exchanges.transitions(),
            exchanges,
            // The first request has no idle time before it.
            in_head: true,
            has_head_bytes: false,
            read_by: Box::pin(sleep_until(head_by)),
            write_by: None,
            all_sent: true,
            replacement: None,
            is_shut: false,
            drain_by: None,
        }
    }

    /// Sets the deadline anew if an exchange began or ended since the last call.
    fn observe_exchange(&mut self) {
        let now = self.exchanges.transitions();
        if now != self.seen_transitions {
            self.seen_transitions = now;
            self.in_head = false;
            self.has_head_bytes = false;
            self.read_by
                .as_mut()
                .reset(Instant::now() + self.limits.idle);
        }
    }

    fn awaits_head(&self) -> bool {
        self.seen_transitions.is_multiple_of(2)
    }

    /// Counts what a write sent: a peer that lags behind earns time by what it reads.
    fn after_write(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(count)), Some(by)) = (&outcome, &mut self.write_by) {
            let earned = Duration::from_secs_f64(*count as f64 / MIN_READ_RATE);
            let at_most = Instant::now() + self.limits.idle;
            let until = (by.deadline() + earned).min(at_most);
            by.as_mut().reset(until);
        }
        if self.all_sent {
            self.all_sent = false;
            self.exchanges.mark_unsent();
        }
        self.fail_if_stalled(outcome, cx)
    }

    /// Passes the outcome of a flush on, after which nothing is left to be sent.
    fn after_flush(
        &mut self,
        outcome: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if outcome.is_ready() {
            self.write_by = None;
            if !self.all_sent {
                self.all_sent = true;
                self.exchanges.mark_sent();
            }
        }
        self.fail_if_stalled(outcome, cx)
    }

    /// Passes an outcome on, unless the peer has read nothing for too long.
    fn fail_if_stalled<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
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

impl<IO: AsyncWrite + Unpin> Paced<IO> {
    /// Whether `data` is hyper's own response to something other than a request, to be replaced. hyper writes it while a
    /// head is awaited and no response is unsent.
    fn replaces(&mut self, data: &[u8]) -> bool {
        self.observe_exchange();
        if self.replacement.is_none() && self.all_sent && self.awaits_head() {
            let status = raw_responses::bare_status(data);
            self.replacement = status.map(|status| (raw_responses::malformed_head(status), 0));
        }
        self.replacement.is_some()
    }

    /// Sends the replacement for the bare response of `length` bytes.
    fn write_replacement(
        &mut self,
        length: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        while let Some((response, written)) = &mut self.replacement {
            if *written == response.len() {
                self.replacement = None;
                break;
            }
            let outcome = Pin::new(&mut self.io).poll_write(cx, &response[*written..]);
            match outcome {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(_)) | Poll::Pending => return self.fail_if_stalled(outcome, cx),
            }
        }
        Poll::Ready(Ok(length))
    }

    /// The head took too long. A peer that sent a part of it gets a response, if it can be written at once.
    fn head_timed_out(&mut self, cx: &mut Context<'_>) -> io::Error {
        if self.has_head_bytes && self.all_sent {
            let response = raw_responses::head_timeout();
            if Pin::new(&mut self.io).poll_write(cx, &response).is_ready() {
                let _ = Pin::new(&mut self.io).poll_flush(cx);
            }
        }
        io::Error::new(io::ErrorKind::TimedOut, "no request head in time")
    }
}

impl<IO: AsyncRead + Unpin> Paced<IO> {
    /// Reads and discards what the peer still sends, until it closes or for [`MAX_CLOSE_DRAIN`].
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [0; 4096];
        loop {
            let mut discarded = ReadBuf::new(&mut discarded);
            match Pin::new(&mut self.io).poll_read(cx, &mut discarded) {
                Poll::Ready(Ok(())) if !discarded.filled().is_empty() => {
                    let drain_by = self.drain_by.get_or_insert_with(|| {
                        Box::pin(sleep_until(Instant::now() + MAX_CLOSE_DRAIN))
                    });
                    if drain_by.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    return match &mut self.drain_by {
                        Some(drain_by) => drain_by.as_mut().poll(cx),
                        None => Poll::Ready(()),
                    };
                }
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Paced<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.observe_exchange();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.io).poll_read(cx, buf);
        if !this.awaits_head() {
            if outcome.is_pending() {
                // hyper does not poll again by itself once the next head is awaited: the deadline would not be noticed.
                this.exchanges.wake_when_ended(cx);
            }
            return outcome;
        }
        let came = buf.filled().len() > before;
        this.has_head_bytes |= came;
        if outcome.is_pending() || this.in_head {
            if this.read_by.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(this.head_timed_out(cx)));
            }
        } else if came {
            this.in_head = true;
            let head_by = Instant::now() + this.limits.header;
            this.read_by.as_mut().reset(head_by);
        }
        outcome
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replaces(data) {
            return self.write_replacement(data.len(), cx);
        }
        let outcome = Pin::new(&mut self.io).poll_write(cx, data);
        self.after_write(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.after_flush(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            let outcome = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.after_flush(outcome, cx))?;
            self.is_shut = true;
        }
        self.poll_drain(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut parts = data.iter().filter(|part| !part.is_empty());
        if let (Some(only), None) = (parts.next(), parts.next())
            && self.replaces(only)
        {
            return self.write_replacement(only.len(), cx);
        }
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.after_write(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
