//! Moving bytes between a process and the executor.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tripline_model::{LogStream, lock};

use super::lines::Lines;
use super::tap::{Gauged, Tap};

/// Bytes asked for in one read: few at first, and what a pipe holds once there were as many.
const READ_BYTES: [usize; 2] = [4 * 1024, 64 * 1024];

/// Bytes read before others get their turn. Also what is still read after a pipe was given up: what lies in it, and not
/// what somebody goes on writing.
const TURN_BYTES: usize = 1024 * 1024;

/// A line that has no end for so long is passed on without it, even if it grows.
const PARTIAL_LINE_TIMEOUT: Duration = Duration::from_millis(200);

/// The beginning of stdout, which is the result.
#[derive(Debug, Clone)]
pub(super) struct Kept(Arc<Mutex<Beginning>>);

#[derive(Debug)]
struct Beginning {
    bytes: BytesMut,
    limit: usize,
    cut: bool,
    /// Whether there is nothing more to come.
    complete: bool,
}

/// Reads a pipe to its end.
pub(super) struct Pump {
    pub(super) from: Gauged,
    pub(super) stream: LogStream,
    pub(super) tap: Tap,
    pub(super) kept: Option<Kept>,
    /// Once it is cancelled, only what already lies in the pipe is read.
    pub(super) give_up: CancellationToken,
}

/// What came of a look into the pipe.
enum Found {
    Some(usize),
    Nothing,
    End,
}

// === impl Pump ===

impl Pump {
    /// Passes on what comes, line by line.
    pub(super) async fn run(mut self) {
        let mut lines = Lines::default();
        while self.empty(&mut lines).await {
            let unfinished = lines.begun.is_some();
            if !unfinished {
                // An instance that says nothing for long must not hold memory.
                lines = Lines::default();
            }
            let partial_at = lines.begun.unwrap_or_else(Instant::now) + PARTIAL_LINE_TIMEOUT;
            self.from.settled.store(!unfinished, Ordering::SeqCst);
            tokio::select! {
                biased;
                () = self.give_up.cancelled() => {
                    self.empty(&mut lines).await;
                    break;
                }
                Some(done) = self.from.requests.recv() => {
                    self.empty(&mut lines).await;
                    self.pass_all(&mut lines).await;
                    let _ = done.send(());
                }
                ready = self.from.pipe.readable() => if ready.is_err() { break },
                () = sleep_until(partial_at), if unfinished => self.pass_all(&mut lines).await,
            }
        }
        if let Some(kept) = &self.kept {
            kept.complete();
        }
        self.pass_all(&mut lines).await;
        self.from.settled.store(true, Ordering::SeqCst);
    }

    /// Reads until there is nothing more for now, or enough for one turn, and passes on whole lines. Returns whether
    /// more may come.
    async fn empty(&mut self, lines: &mut Lines) -> bool {
        let mut total = 0;
        while total < TURN_BYTES {
            let large = usize::from(total >= READ_BYTES[0]);
            match self.look(lines, READ_BYTES[large]) {
                Found::Some(count) => total += count,
                Found::End => return false,
                Found::Nothing => break,
            }
            if !self.tap.takes_more() {
                lines.discard();
                continue;
            }
            self.tap.pass(self.stream, lines.whole()).await;
        }
        true
    }

    fn look(&self, lines: &mut Lines, room: usize) -> Found {
        // Before anything leaves the pipe: who looks at both must see it in one of them.
        self.from.settled.store(false, Ordering::SeqCst);
        let before = lines.buffer.len();
        lines.buffer.reserve(room);
        match self.from.pipe.try_read_buf(&mut lines.buffer) {
            Ok(0) => Found::End,
            Ok(count) => {
                if let Some(kept) = &self.kept {
                    kept.add(&lines.buffer[before..]);
                }
                Found::Some(count)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Found::Nothing,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Found::Nothing,
            Err(_) => Found::End,
        }
    }

    async fn pass_all(&self, lines: &mut Lines) {
        self.tap.pass(self.stream, lines.all()).await;
    }
}

/// Writes what a process reads. It may close its stdin, or end, without having read it all: that is no error.
pub(super) async fn feed(mut pipe: pipe::Sender, data: Bytes) {
    let written = pipe.write_all(&data).await;
    let complete = written.is_ok();
    tracing::trace!(bytes = data.len(), complete, "stdin closed");
}

// === impl Kept ===

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Beginning {
            bytes: BytesMut::new(),
            limit,
            cut: false,
            complete: false,
        })))
    }

    fn add(&self, bytes: &[u8]) {
        let mut kept = lock(&self.0);
        let room = kept.limit.saturating_sub(kept.bytes.len());
        let fits = bytes.len().min(room);
        kept.bytes.extend_from_slice(&bytes[..fits]);
        kept.cut |= fits < bytes.len();
    }

    fn complete(&self) {
        lock(&self.0).complete = true;
    }

    /// What was kept, and whether there was more.
    pub(super) fn take(&self) -> (Bytes, bool) {
        let mut kept = lock(&self.0);
        (kept.bytes.split().freeze(), kept.cut || !kept.complete)
    }
}
