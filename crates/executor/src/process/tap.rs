//! Where the output of a process goes: to one run at a time.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tripline_model::{LogStream, lock};

use crate::instance::{Line, Output};

/// Bytes of text that are kept while no output is attached; what comes after them is dropped.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// How long the lines that were written before may take to be passed on when an output is detached.
const DETACH_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the output of a process goes. A warm instance changes it from run to run. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tap(Arc<Shared>);

struct Shared {
    target: Mutex<Target>,
    gauges: Vec<Gauge>,
}

#[derive(Default)]
struct Target {
    output: Option<Arc<dyn Output>>,
    kept: VecDeque<(LogStream, Vec<Line>)>,
    kept_bytes: usize,
}

/// Tells how far a pipe was read.
pub(super) struct Gauge {
    pipe: Arc<pipe::Receiver>,
    /// Whether everything that was read was passed on.
    settled: Arc<AtomicBool>,
    requests: mpsc::Sender<oneshot::Sender<()>>,
}

/// The other side of a [`Gauge`].
pub(super) struct Gauged {
    pub(super) pipe: Arc<pipe::Receiver>,
    pub(super) settled: Arc<AtomicBool>,
    /// Each asks for what is in the pipe to be passed on now, and wants to know when that is done.
    pub(super) requests: mpsc::Receiver<oneshot::Sender<()>>,
}

// === impl Tap ===

impl Tap {
    pub(super) fn new(gauges: Vec<Gauge>) -> Self {
        Self(Arc::new(Shared {
            target: Mutex::default(),
            gauges,
        }))
    }

    /// What is written from now on goes to `output`, and before that what was written while no output was attached
    /// (at most 64 KiB of it are kept).
    pub(crate) async fn attach(&self, output: Arc<dyn Output>) {
        loop {
            let kept = {
                let mut target = self.target();
                if target.kept.is_empty() {
                    target.output = Some(output);
                    return;
                }
                target.kept_bytes = 0;
                std::mem::take(&mut target.kept)
            };
            for (stream, lines) in kept {
                output.lines(stream, lines).await;
            }
        }
    }

    /// What was written before this call is passed on to the output, an unfinished line too (waits at most a second
    /// for that); what is written later is kept for the next output.
    pub(crate) async fn detach(&self) {
        let settle = async {
            for gauge in &self.0.gauges {
                gauge.settle().await;
            }
        };
        if timeout(DETACH_TIMEOUT, settle).await.is_err() {
            tracing::warn!("output of a run was not taken in time; some of it goes to the next");
        }
        self.target().output = None;
    }

    /// Passes on lines, or keeps them.
    pub(super) async fn pass(&self, stream: LogStream, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        let output = {
            let mut target = self.target();
            match target.output.clone() {
                Some(output) => output,
                None => return target.keep(stream, lines),
            }
        };
        output.lines(stream, lines).await;
    }

    /// What was not passed on is lost, and the output says why.
    pub(super) fn cut(&self, why: &str) {
        if let Some(output) = &self.target().output {
            output.cut(why);
        }
    }

    /// Whether lines would be kept.
    pub(super) fn takes_more(&self) -> bool {
        let target = self.target();
        target
            .output
            .as_ref()
            .is_none_or(|output| output.takes_more())
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        lock(&self.0.target)
    }
}

// === impl Target ===

impl Target {
    fn keep(&mut self, stream: LogStream, mut lines: Vec<Line>) {
        lines.retain(|line| {
            let fits = self.kept_bytes + line.text.len() < MAX_KEPT_BYTES;
            // An empty line takes room, too.
            self.kept_bytes += if fits { line.text.len() + 1 } else { 0 };
            fits
        });
        if !lines.is_empty() {
            self.kept.push_back((stream, lines));
        }
    }
}

// === impl Gauge ===

impl Gauge {
    pub(super) fn new(pipe: pipe::Receiver) -> (Self, Gauged) {
        let (sender, requests) = mpsc::channel(1);
        let (pipe, settled) = (Arc::new(pipe), Arc::new(AtomicBool::new(true)));
        let gauge = Self {
            pipe: pipe.clone(),
            settled: settled.clone(),
            requests: sender,
        };
        let gauged = Gauged {
            pipe,
            settled,
            requests,
        };
        (gauge, gauged)
    }

    async fn settle(&self) {
        // In this order: what is no longer in the pipe made the other side unsettled before it was taken out.
        let empty = rustix::io::ioctl_fionread(self.pipe.as_fd()).is_ok_and(|bytes| bytes == 0);
        if empty && self.settled.load(Ordering::SeqCst) {
            return;
        }
        let (done, when_done) = oneshot::channel();
        // An error means that the pipe was read to its end.
        if self.requests.send(done).await.is_ok() {
            let _ = when_done.await;
        }
    }
}
