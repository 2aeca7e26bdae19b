//! A connection with a hub, once the two know each other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::runs::Runs;
use crate::protocol::{FrameError, FromExecutor, ToExecutor, Welcome, read_frame, write_frame};

/// A hub that takes nothing for so long is gone, or as good as gone.
const STALLED: Duration = Duration::from_secs(60);
/// Bytes that are read or written at once when there is much to say.
const BUFFER: usize = 64 << 10;

/// Why a connection was over.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the hub took nothing for {STALLED:?}")]
    Stalled,
    #[error("the hub said `hello` twice")]
    HelloAgain,
}

/// Does what a hub says, and tells it what it wants to hear, until the connection is over. `number` tells connections
/// apart. Reading never waits for writing: a hub that does not listen is still heard.
pub(super) async fn converse(
    stream: UnixStream,
    welcome: Welcome,
    runs: &Arc<Runs>,
    number: u64,
) -> SessionError {
    let (from, to) = stream.into_split();
    let over = tokio::select! {
        over = listen(from, runs, number) => over,
        over = speak(to, welcome, runs, number) => over,
    };
    match over {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// What never is.
enum Never {}

async fn listen(
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

async fn speak(
    to: impl AsyncWrite + Unpin,
    welcome: Welcome,
    runs: &Arc<Runs>,
    number: u64,
) -> Result<Never, SessionError> {
    let mut to = BufWriter::with_capacity(BUFFER, to);
    say(&mut to, &FromExecutor::Welcome(welcome), &Bytes::new()).await?;
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
            say(&mut to, &message, &blob).await?;
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

async fn say(
    to: &mut (impl AsyncWrite + Unpin),
    message: &FromExecutor,
    blob: &Bytes,
) -> Result<(), SessionError> {
    in_time(write_frame(to, message, blob)).await
}

async fn in_time(
    writing: impl Future<Output = Result<(), FrameError>>,
) -> Result<(), SessionError> {
    match timeout(STALLED, writing).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(SessionError::Stalled),
    }
}
