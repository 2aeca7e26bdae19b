//! A connection with a hub, after the handshake.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::runs::Runs;
use crate::protocol::{FrameError, FromExecutor, ToExecutor, Welcome, read_frame, write_frame};

/// A hub that reads nothing for so long counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of the read buffer and of the write buffer.
const BUFFER: usize = 64 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the hub took nothing for {WRITE_TIMEOUT:?}")]
    Stalled,
    #[error("the hub said `hello` twice")]
    HelloAgain,
}

/// Handles a hub's messages and sends it what runs have for it, until the connection ends. `number` identifies the
/// connection. Reading never waits for writing: a hub that does not read can still send.
pub(super) async fn serve(
    stream: UnixStream,
    welcome: Welcome,
    runs: &Arc<Runs>,
    number: u64,
) -> SessionError {
    let (from, to) = stream.into_split();
    let ended = tokio::select! {
        ended = read_loop(from, runs, number) => ended,
        ended = write_loop(to, welcome, runs, number) => ended,
    };
    match ended {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// A loop that only an error ends.
enum Never {}

async fn read_loop(
    from: impl AsyncRead + Unpin,
    runs: &Arc<Runs>,
    number: u64,
) -> Result<Never, SessionError> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    loop {
        let (message, blob) = read_frame(&mut from).await?;
        match message {
            ToExecutor::Hello(_) => return Err(SessionError::HelloAgain),
            ToExecutor::Declare { functions } => runs.declare(functions),
            ToExecutor::Start(start) => runs.start(start, blob, number),
            ToExecutor::Stop { run, how } => runs.stop(&run, how),
            ToExecutor::Attach { run, after } => runs.attach(&run, after, number),
            ToExecutor::Kept { run, line } => runs.keep(&run, line),
            ToExecutor::Forget { run } => runs.forget(&run),
            ToExecutor::Renew { run, credentials } => runs.renew(&run, credentials),
            ToExecutor::Retire => runs.retire(),
        }
    }
}

async fn write_loop(
    to: impl AsyncWrite + Unpin,
    welcome: Welcome,
    runs: &Arc<Runs>,
    number: u64,
) -> Result<Never, SessionError> {
    let mut to = BufWriter::with_capacity(BUFFER, to);
    send(&mut to, &FromExecutor::Welcome(welcome), &Bytes::new()).await?;
    loop {
        let Some(id) = runs.ready.take() else {
            in_time(async { Ok(to.flush().await?) }).await?;
            runs.ready.wait().await;
            // Tasks that are ready now may have something for the same packet.
            yield_now().await;
            continue;
        };
        let Some(outbox) = runs.outbox(id) else {
            continue;
        };
        if let Some((message, blob)) = outbox.next(number) {
            send(&mut to, &message, &blob).await?;
            if matches!(message, FromExecutor::Reclaimed { .. }) {
                // Nothing holds the executor back once this run is dropped.
                in_time(async { Ok(to.flush().await?) }).await?;
            }
            // There may be more; the others have their turns first.
            runs.ready.mark(id);
        }
        runs.drop_if_done(id);
    }
}

async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    message: &FromExecutor,
    blob: &Bytes,
) -> Result<(), SessionError> {
    in_time(write_frame(to, message, blob)).await
}

async fn in_time(
    writing: impl Future<Output = Result<(), FrameError>>,
) -> Result<(), SessionError> {
    match timeout(WRITE_TIMEOUT, writing).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(SessionError::Stalled),
    }
}
