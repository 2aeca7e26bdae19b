//! Deadlines for a connection's bytes: a head that trickles in, a connection that lies idle, a reader that does not
//! read. They are kept where the bytes pass, so that the application cannot forget them. Whoever sends what is no
//! request hears from here why it is refused.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::last_word;
use crate::turns::Turns;

/// What a reader of an answer must take on average, in bytes a second, once it lags behind.
const READ_RATE: f64 = 1024.0;

/// How long a peer that still sends is listened to after the last answer: closing over unread bytes would reset the
/// connection, and could take the answer with it.
const LINGER: Duration = Duration::from_secs(1);

/// The bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From a head's first byte to its end.
    pub(crate) header: Duration,
    /// Without a byte between two requests, or without a byte of an answer being taken.
    pub(crate) idle: Duration,
}

/// A stream with deadlines.
pub(crate) struct Paced<IO> {
    io: IO,
    limits: Limits,
    turns: Turns,
    /// The turn that `read_by` belongs to.
    seen: usize,
    /// Whether a byte of the awaited head has come.
    in_head: bool,
    /// Whether anything of the awaited head has come, the first included.
    heard: bool,
    read_by: Pin<Box<Sleep>>,
    write_by: Option<Pin<Box<Sleep>>>,
    /// Everything that was written is sent.
    all_sent: bool,
    /// What is sent instead of hyper's own bare answer, and how much of it was.
    own: Option<(Vec<u8>, usize)>,
    is_shut: bool,
    linger: Option<Pin<Box<Sleep>>>,
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
            heard: false,
            read_by: Box::pin(sleep_until(head_by)),
            write_by: None,
            all_sent: true,
            own: None,
            is_shut: false,
            linger: None,
        }
    }

    /// Notices a turn that began or ended since the last look.
    fn look_at_turn(&mut self) {
        let now = self.turns.now();
        if now != self.seen {
            self.seen = now;
            self.in_head = false;
            self.heard = false;
            self.read_by
                .as_mut()
                .reset(Instant::now() + self.limits.idle);
        }
    }

    fn awaits_head(&self) -> bool {
        self.seen.is_multiple_of(2)
    }

    /// Counts what a write sent: a reader that lags behind earns time by what it takes.
    fn wrote(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(count)), Some(by)) = (&outcome, &mut self.write_by) {
            let earned = Duration::from_secs_f64(*count as f64 / READ_RATE);
            let at_most = Instant::now() + self.limits.idle;
            let until = (by.deadline() + earned).min(at_most);
            by.as_mut().reset(until);
        }
        if self.all_sent {
            self.all_sent = false;
            self.turns.sending();
        }
        self.unless_stalled(outcome, cx)
    }

    /// Passes the outcome of a flush on, after which nothing is left to be taken.
    fn flushed(
        &mut self,
        outcome: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if outcome.is_ready() {
            self.write_by = None;
            if !self.all_sent {
                self.all_sent = true;
                self.turns.sent();
            }
        }
        self.unless_stalled(outcome, cx)
    }

    /// Passes an outcome on, unless nothing has been taken for too long.
    fn unless_stalled<T>(
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
    /// Whether `data` is hyper's own answer to what is no request: it comes while nothing else is to be said.
    fn is_own(&mut self, data: &[u8]) -> bool {
        self.look_at_turn();
        if self.own.is_none() && self.all_sent && self.awaits_head() {
            let status = last_word::status_of(data);
            self.own = status.map(|status| (last_word::to_a_bad_head(status), 0));
        }
        self.own.is_some()
    }

    /// Sends words in place of the bare answer of `length` bytes.
    fn write_own(&mut self, length: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some((words, said)) = &mut self.own {
            if *said == words.len() {
                self.own = None;
                break;
            }
            let outcome = Pin::new(&mut self.io).poll_write(cx, &words[*said..]);
            match outcome {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *said += count,
                Poll::Ready(Err(_)) | Poll::Pending => return self.unless_stalled(outcome, cx),
            }
        }
        Poll::Ready(Ok(length))
    }

    /// The head took too long. Who has sent a part of it is told, if that can be done at once.
    fn late(&mut self, cx: &mut Context<'_>) -> io::Error {
        if self.heard && self.all_sent {
            let words = last_word::to_a_slow_head();
            if Pin::new(&mut self.io).poll_write(cx, &words).is_ready() {
                let _ = Pin::new(&mut self.io).poll_flush(cx);
            }
        }
        io::Error::new(io::ErrorKind::TimedOut, "no request head in time")
    }
}

impl<IO: AsyncRead + Unpin> Paced<IO> {
    /// Reads what a peer that has not stopped sends, and forgets it, until it closes or for a moment.
    fn drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scrap = [0; 4096];
        loop {
            let mut scrap = ReadBuf::new(&mut scrap);
            match Pin::new(&mut self.io).poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(())) if !scrap.filled().is_empty() => {
                    let linger = self
                        .linger
                        .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
                    if linger.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    return match &mut self.linger {
                        Some(linger) => linger.as_mut().poll(cx),
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
        this.look_at_turn();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.io).poll_read(cx, buf);
        if !this.awaits_head() {
            if outcome.is_pending() {
                // hyper does not ask again by itself once the next head is awaited, and the deadline would sleep on.
                this.turns.wake_when_over(cx);
            }
            return outcome;
        }
        let came = buf.filled().len() > before;
        this.heard |= came;
        if outcome.is_pending() || this.in_head {
            if this.read_by.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(this.late(cx)));
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
        if self.is_own(data) {
            return self.write_own(data.len(), cx);
        }
        let outcome = Pin::new(&mut self.io).poll_write(cx, data);
        self.wrote(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.flushed(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            let outcome = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.flushed(outcome, cx))?;
            self.is_shut = true;
        }
        self.drained(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut parts = data.iter().filter(|part| !part.is_empty());
        if let (Some(only), None) = (parts.next(), parts.next())
            && self.is_own(only)
        {
            return self.write_own(only.len(), cx);
        }
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.wrote(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
