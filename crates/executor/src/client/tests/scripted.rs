//! An executor whose every word a test chooses.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{FlockOperation, flock};
use tokio::net::{UnixListener, UnixStream};
use uuid::Uuid;

use super::{head, soon};
use crate::protocol::{
    FrameError, FromExecutor, HeldRun, StopHow, ToExecutor, Welcome, read_frame, write_frame,
};

/// An executor: its folder, its lock and its socket.
pub(super) struct Scripted {
    pub(super) id: String,
    pub(super) path: PathBuf,
    listener: UnixListener,
    lock: Lock,
}

/// The lock that says that it lives. Given up explicitly, not by closing it: a process that another test starts at this moment has a copy of the
/// descriptor until its program is loaded.
pub(super) struct Lock(File);

/// A hub that connected to it.
pub(super) struct Peer(UnixStream);

impl Drop for Lock {
    fn drop(&mut self) {
        flock(&self.0, FlockOperation::Unlock).unwrap();
    }
}

// === impl Scripted ===

impl Scripted {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self::at(data_dir.join("executors"), &Uuid::now_v7().to_string())
    }

    pub(super) fn at(executors: PathBuf, id: &str) -> Self {
        let path = executors.join(id);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("lock"), std::process::id().to_string()).unwrap();
        let lock = File::open(path.join("lock")).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let dir = File::open(&path).unwrap();
        // The path itself may be too long for a socket.
        let socket = format!(
            "/proc/self/fd/{}/socket",
            std::os::fd::AsRawFd::as_raw_fd(&dir)
        );
        let listener = UnixListener::bind(socket).unwrap();
        Self {
            id: id.to_owned(),
            path,
            listener,
            lock: Lock(lock),
        }
    }

    /// It lives, and nobody can connect to it.
    pub(super) fn close_socket(self) -> Lock {
        self.lock
    }

    /// A connection of a hub, which has said hello.
    pub(super) async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let mut peer = Peer(stream);
        let hello = peer.receive().await;
        assert!(matches!(hello, ToExecutor::Hello(_)), "{hello:?}");
        peer
    }

    pub(super) fn greeting(&self, release: &str, runs: Vec<HeldRun>) -> Welcome {
        Welcome {
            version: 1,
            executor: self.id.clone(),
            pid: std::process::id(),
            release: release.to_owned(),
            level: "the level".to_owned(),
            retired: false,
            runs,
        }
    }

    pub(super) async fn welcome(&self, release: &str, runs: Vec<HeldRun>) -> Peer {
        let mut peer = self.accept().await;
        peer.send(FromExecutor::Welcome(self.greeting(release, runs)))
            .await;
        peer
    }

    /// Answers the next greeting, and hangs up.
    pub(super) async fn answer(&self, answer: FromExecutor) {
        self.accept().await.send(answer).await;
    }
}

// === impl Peer ===

impl Peer {
    pub(super) async fn receive(&mut self) -> ToExecutor {
        self.receive_all().await.0
    }

    pub(super) async fn receive_all(&mut self) -> (ToExecutor, Bytes) {
        soon(read_frame(&mut self.0)).await.unwrap()
    }

    /// Waits until the hub hangs up; what it says until then is of no interest.
    pub(super) async fn hung_up(&mut self) {
        while soon(read_frame::<ToExecutor>(&mut self.0)).await.is_ok() {}
    }

    pub(super) async fn receive_start(&mut self, run: &str) -> Bytes {
        match self.receive_all().await {
            (ToExecutor::Start(start), data) if start.run == run => data,
            other => panic!("not the start of {run}: {other:?}"),
        }
    }

    pub(super) async fn receive_attach(&mut self, run: &str, after: u64) {
        let attach = ToExecutor::Attach {
            run: run.to_owned(),
            after,
        };
        assert_eq!(self.receive().await, attach);
    }

    pub(super) async fn receive_stop(&mut self, run: &str, how: StopHow) {
        let stop = ToExecutor::Stop {
            run: run.to_owned(),
            how,
        };
        assert_eq!(self.receive().await, stop);
    }

    pub(super) async fn send(&mut self, message: FromExecutor) {
        self.send_all(message, b"").await;
    }

    pub(super) async fn send_all(&mut self, message: FromExecutor, blob: &[u8]) {
        write_frame(&mut self.0, &message, blob).await.unwrap();
    }

    /// Lines of a run, numbered from `first`.
    pub(super) async fn send_lines(&mut self, run: &str, first: u64, texts: &[&str]) {
        self.try_send_lines(run, first, texts).await.unwrap();
    }

    /// The same to a hub that may have hung up.
    pub(super) async fn try_send_lines(
        &mut self,
        run: &str,
        first: u64,
        texts: &[&str],
    ) -> Result<(), FrameError> {
        let lines = texts.iter().map(|text| head(text)).collect();
        let message = FromExecutor::Lines {
            run: run.to_owned(),
            first,
            lines,
        };
        write_frame(&mut self.0, &message, texts.concat().as_bytes()).await
    }
}
