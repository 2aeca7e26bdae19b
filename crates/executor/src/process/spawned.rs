//! One running process and what it started.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal};
use tokio::net::unix::pipe;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tripline_model::LogStream;

use super::child::Main;
use super::credentials::write_credentials;
use super::pump::{Kept, Pump, feed};
use super::remains::Left;
use super::scratch::{Scratch, used_bytes};
use super::tap::{Gauge, Tap};
use super::tree::Tree;
use crate::instance::{How, Remains};
use crate::isolation::Groups;
use crate::protocol::Credentials;

/// How long killed processes may take to disappear before they are waited for outside.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the pipes of a dead tree may take to drain before other processes that hold them are searched for.
const PIPE_DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// How long output may take to be passed on before an output that takes nothing is given up.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two looks at how much is in the scratch directory.
const SCRATCH_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// One running process and what it started. Dropping it kills both, but leaves the scratch directory: rather
/// [`reclaim`](Self::reclaim) it.
pub(crate) struct Spawned {
    /// Until it is handed over to those who wait for what could not be ended.
    main: Option<Main>,
    status: Option<ExitStatus>,
    /// Why it was killed at its start, if it was: it could not be put within its bounds.
    unbounded: Option<String>,
    tree: Arc<Tree>,
    scratch: Arc<Scratch>,
    tap: Tap,
    result: Kept,
    pumps: JoinSet<()>,
    /// The feeder of stdin and the watch over the scratch directory.
    aides: JoinSet<()>,
    give_up: CancellationToken,
    scratch_exceeded: Arc<AtomicBool>,
    reclaimed: bool,
}

/// What the kernel knows of the memory of a process and what it started, for as long as they are not given up.
pub(crate) struct Memory(Arc<Tree>);

/// How a process was over.
pub(crate) struct Reclaimed {
    /// `Exited`, `Signaled`, `Unbounded`, `MemoryLimit` or `ScratchLimit`.
    pub(crate) how: How,
    /// The beginning of stdout.
    pub(crate) result: Bytes,
    pub(crate) result_cut: bool,
    /// In bytes, where that is known.
    pub(crate) peak_memory: Option<u64>,
    /// What could not be ended.
    pub(crate) remains: Option<Box<dyn Remains>>,
}

/// What a process is made of.
pub(super) struct Parts {
    pub(super) child: Child,
    /// See [`Spawned`].
    pub(super) unbounded: Option<String>,
    pub(super) groups: Groups,
    pub(super) mark: Vec<u8>,
    pub(super) scratch: Scratch,
    pub(super) pipes: Pipes,
    pub(super) keep_stdout: usize,
    pub(super) scratch_bytes: Option<u64>,
}

/// This side of a process's pipes.
pub(super) struct Pipes {
    /// With what has to be written still.
    pub(super) stdin: Option<(pipe::Sender, Bytes)>,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

// === impl Spawned ===

impl Spawned {
    /// Nothing here can fail: the process runs already.
    pub(super) fn new(parts: Parts) -> Self {
        let leader = Pid::from_child(&parts.child);
        let pipes = parts.pipes;
        let tree = Arc::new(Tree::new(leader, parts.mark, parts.groups));
        let scratch = Arc::new(parts.scratch);
        let give_up = CancellationToken::new();
        let result = Kept::new(parts.keep_stdout);
        let (mut gauges, mut ends) = (Vec::new(), Vec::new());
        for (stream, pipe, kept) in [
            (LogStream::Stdout, pipes.stdout, Some(result.clone())),
            (LogStream::Stderr, pipes.stderr, None),
        ] {
            let (gauge, gauged) = Gauge::new(pipe);
            gauges.push(gauge);
            ends.push((stream, gauged, kept));
        }
        let tap = Tap::new(gauges);
        let mut pumps = JoinSet::new();
        for (stream, from, kept) in ends {
            let (tap, give_up) = (tap.clone(), give_up.clone());
            let pump = Pump {
                from,
                stream,
                tap,
                kept,
                give_up,
            };
            pumps.spawn(pump.run());
        }
        let scratch_exceeded = Arc::new(AtomicBool::new(false));
        let mut aides = JoinSet::new();
        if let Some((pipe, data)) = pipes.stdin {
            aides.spawn(feed(pipe, data));
        }
        if let Some(limit) = parts.scratch_bytes {
            let over = scratch_exceeded.clone();
            aides.spawn(watch_scratch(scratch.clone(), limit, tree.clone(), over));
        }
        Self {
            main: Some(Main::new(parts.child, leader)),
            status: None,
            unbounded: parts.unbounded,
            tree,
            scratch,
            tap,
            result,
            pumps,
            aides,
            give_up,
            scratch_exceeded,
            reclaimed: false,
        }
    }

    /// Its scratch directory.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where its output goes.
    pub(crate) fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Sends SIGTERM to the process and its group.
    pub(crate) fn request_stop(&self) {
        self.tree.request_stop();
    }

    /// Kills the process and all that it started.
    pub(crate) fn kill(&self) {
        self.tree.kill();
    }

    /// Replaces the credentials in the file that `TRIPLINE_CREDENTIALS_FILE` names.
    pub(crate) fn renew(&self, credentials: &Credentials) -> io::Result<()> {
        write_credentials(self.scratch(), credentials)
    }

    /// Waits until the main process is over, or was killed and is still there five seconds later: then it counts as
    /// ended by that signal, and is among what remains. The future may be dropped and asked for again.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let Some(main) = &mut self.main else {
            return self.known_status();
        };
        let status = tokio::select! {
            biased;
            status = main.wait() => status,
            () = self.tree.killed_for(KILL_TIMEOUT) => return self.known_status(),
        };
        self.status = Some(status);
        self.tree.main_is_over();
        if !status.success() {
            self.tree.suspect();
        }
        self.aides.abort_all();
        status
    }

    /// What is known of its memory.
    pub(crate) fn memory(&self) -> Memory {
        Memory(self.tree.clone())
    }

    /// Ends what is left of it (and the main process too, if it still runs) within about five seconds, passes on what
    /// it wrote, and gives up its scratch directory. Call it once.
    pub(crate) async fn reclaim(&mut self) -> Reclaimed {
        if self.status.is_none() {
            self.kill();
            self.wait().await;
        }
        let gone = self.tree.end(KILL_TIMEOUT).await;
        let gone = self.drain(gone).await;
        let how = self.how();
        let peak_memory = self.tree.peak_memory();
        let remains: Option<Box<dyn Remains>> = if gone {
            self.scratch.give_up(self.tree.is_certain()).await;
            self.tree.remove();
            None
        } else {
            Some(Box::new(Left {
                main: self.main.take().filter(|_| self.status.is_none()),
                tree: self.tree.clone(),
                scratch: self.scratch.clone(),
            }))
        };
        self.reclaimed = true;
        let (result, result_cut) = self.result.take();
        Reclaimed {
            how,
            result,
            result_cut,
            peak_memory,
            remains,
        }
    }

    /// Drains the pipes. A process that left the group may hold them open: it is searched for, then the pipes are
    /// dropped. Returns whether the whole tree is dead; `gone` is what the caller knows of that.
    async fn drain(&mut self, mut gone: bool) -> bool {
        if timeout(PIPE_DRAIN_TIMEOUT, join_all(&mut self.pumps))
            .await
            .is_ok()
        {
            return gone;
        }
        self.tree.suspect();
        gone = gone && self.tree.end(KILL_TIMEOUT).await;
        if timeout(PIPE_DRAIN_TIMEOUT, join_all(&mut self.pumps))
            .await
            .is_ok()
        {
            return gone;
        }
        self.give_up.cancel();
        if timeout(OUTPUT_TIMEOUT, join_all(&mut self.pumps))
            .await
            .is_err()
        {
            tracing::warn!("the output took nothing more; the rest is lost");
            self.pumps.shutdown().await;
            let within = OUTPUT_TIMEOUT.as_secs();
            self.tap
                .cut(&format!("the rest was not taken within {within} s"));
        }
        gone
    }

    /// How it ended; as if killed, when it did not end although it was.
    fn known_status(&self) -> ExitStatus {
        let killed = ExitStatus::from_raw(Signal::KILL.as_raw());
        self.status.unwrap_or(killed)
    }

    fn how(&self) -> How {
        if let Some(why) = &self.unbounded {
            return How::Unbounded(why.clone());
        }
        let status = self.known_status();
        match (status.code(), status.signal()) {
            // Also if it ended well: something that it started was killed for that.
            _ if self.tree.memory_exceeded() => How::MemoryLimit,
            (Some(0), _) => How::Exited(0),
            _ if self.scratch_exceeded.load(Ordering::SeqCst) => How::ScratchLimit,
            (Some(code), _) => How::Exited(code),
            (None, signal) => How::Signaled(signal.unwrap_or(Signal::KILL.as_raw())),
        }
    }
}

// === impl Memory ===

impl Memory {
    /// The most that was used so far, in bytes, where that is known.
    pub(crate) fn peak(&self) -> Option<u64> {
        self.0.peak_memory()
    }

    /// Whether something was killed because it used more than it may.
    pub(crate) fn exceeded(&self) -> bool {
        self.0.memory_exceeded()
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if !self.reclaimed {
            self.tree.kill();
        }
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// Kills the tree once there is more in the directory than may be.
async fn watch_scratch(scratch: Arc<Scratch>, limit: u64, tree: Arc<Tree>, over: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(SCRATCH_CHECK_INTERVAL).await;
        let path = scratch.path().to_owned();
        let look = tokio::task::spawn_blocking(move || used_bytes(&path, limit));
        if look.await.is_ok_and(|used| used > limit) {
            over.store(true, Ordering::SeqCst);
            tree.kill();
            return;
        }
    }
}
