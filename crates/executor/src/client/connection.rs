//! One connection to an executor: made, checked, and used for both directions.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use nix::unistd::geteuid;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::ClientError;
use super::find::{self, Folder, blocking};
use crate::protocol::{
    FrameError, FromExecutor, Hello, ToExecutor, VERSIONS, Value, Welcome, read_frame, write_frame,
};

/// Time for the handshake.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a unix socket's path that the kernel takes, less its end.
const MAX_PATH: usize = 107;

/// Bytes that are read and written at a time.
const BUFFER: usize = 64 << 10;

/// A connection that was welcomed.
pub(super) struct Connection {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// Reads from the executor.
pub(super) struct Reader(BufReader<OwnedReadHalf>);

/// Writes to the executor.
pub(super) struct Writer(BufWriter<OwnedWriteHalf>);

/// Connects to a living executor and does the handshake. An error leaves nothing behind.
pub(super) async fn join(
    folder: &Folder,
    release: &str,
) -> Result<(Connection, Welcome), ClientError> {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, greet(folder, release)).await {
        Ok(done) => done,
        Err(_) => Err(ClientError::Silent {
            id: folder.id.clone(),
            pid: find::pid(folder).await,
            waited: HANDSHAKE_TIMEOUT,
        }),
    }
}

async fn greet(folder: &Folder, release: &str) -> Result<(Connection, Welcome), ClientError> {
    let id = || folder.id.clone();
    let unreachable = |source| ClientError::Unreachable {
        id: folder.id.clone(),
        source,
    };
    let broken = |source| ClientError::Broken {
        id: folder.id.clone(),
        source,
    };
    let stream = connect(&folder.path).await.map_err(unreachable)?;
    let peer = stream.peer_cred().map_err(unreachable)?;
    if peer.uid() != geteuid().as_raw() {
        return Err(ClientError::WrongUser {
            id: id(),
            uid: peer.uid(),
        });
    }
    let (read, write) = stream.into_split();
    let mut reader = Reader(BufReader::with_capacity(BUFFER, read));
    let mut writer = Writer(BufWriter::with_capacity(BUFFER, write));
    let release = release.to_owned();
    let hello = Hello {
        versions: VERSIONS,
        release: release.clone(),
        key: key(&folder.path).await.map_err(unreachable)?,
    };
    writer
        .write(&ToExecutor::Hello(hello), &[])
        .await
        .map_err(broken)?;
    writer.flush().await.map_err(broken)?;
    let why = match reader.read().await.map_err(broken)? {
        (FromExecutor::Refused(refusal), _) => {
            let (pid, refusal) = (peer.pid().unwrap_or(0), Box::new(refusal));
            return Err(ClientError::Refused {
                id: id(),
                pid,
                release,
                refusal,
            });
        }
        (FromExecutor::Welcome(welcome), _) if welcome.executor != folder.id => {
            format!("it calls itself {}", welcome.executor.escape_debug())
        }
        (FromExecutor::Welcome(welcome), _)
            if !(VERSIONS.from..=VERSIONS.to).contains(&welcome.version) =>
        {
            format!("it wants to speak version {}", welcome.version)
        }
        (FromExecutor::Welcome(welcome), _) => return Ok((Connection { reader, writer }, welcome)),
        _ => "it did not answer the greeting".to_owned(),
    };
    Err(ClientError::Protocol { id: id(), why })
}

/// What lets a hub in, as the executor wrote it.
async fn key(folder: &Path) -> io::Result<Value> {
    let path = folder.join("key");
    match blocking(move || std::fs::read_to_string(path)).await {
        // Just being made: the executor refuses, and is asked again.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Value::new("")),
        read => read.map(Value::new),
    }
}

/// Connects to the socket in a folder, also where the whole path is longer than the kernel takes.
async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let path = folder.join("socket");
    if path.as_os_str().len() <= MAX_PATH {
        return UnixStream::connect(path).await;
    }
    let folder = folder.to_owned();
    let dir = blocking(move || std::fs::File::open(folder)).await?;
    UnixStream::connect(format!("/proc/self/fd/{}/socket", dir.as_raw_fd())).await
}

// === impl Reader ===

impl Reader {
    pub(super) async fn read(&mut self) -> Result<(FromExecutor, Bytes), FrameError> {
        read_frame(&mut self.0).await
    }
}

// === impl Writer ===

impl Writer {
    /// Writes a message, perhaps not before the next `flush`. After `TooLarge` and `Malformed` nothing was written.
    pub(super) async fn write(
        &mut self,
        message: &ToExecutor,
        blob: &[u8],
    ) -> Result<(), FrameError> {
        write_frame(&mut self.0, message, blob).await
    }

    pub(super) async fn flush(&mut self) -> Result<(), FrameError> {
        Ok(self.0.flush().await?)
    }
}
