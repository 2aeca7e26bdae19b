//! The first messages on a connection.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::key::Key;
use crate::protocol::{
    FrameError, FromExecutor, Hello, Refusal, ToExecutor, VERSIONS, Versions, read_small_frame,
    write_frame,
};

/// How long the first message may take: a hub sends it at once.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of the first message, at most: its sender is not known yet.
const MAX_HELLO_BYTES: usize = 4 << 10;

/// Waits for the hub's `hello`: the protocol version to use and the `hello`, if it has the `key`. `None` if the
/// handshake failed; the hub was sent the reason, unless it sent nothing: one that is only slow may try again.
pub(super) async fn handshake(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    release: &str,
    key: &Key,
) -> Option<(u16, Hello)> {
    let hello = read_small_frame::<ToExecutor>(stream, MAX_HELLO_BYTES);
    let why = match timeout(HANDSHAKE_TIMEOUT, hello).await {
        Ok(Ok((ToExecutor::Hello(hello), _))) if !key.matches(hello.key.expose().as_bytes()) => {
            "the key is not the one in this executor's directory".to_owned()
        }
        Ok(Ok((ToExecutor::Hello(hello), _))) => match VERSIONS.common(hello.versions) {
            Some(version) => return Some((version, hello)),
            None => mismatch(release, &hello),
        },
        Ok(Ok(_)) => "the first message to an executor must be `hello`".to_owned(),
        // Who only looks whether somebody answers needs no answer.
        Ok(Err(FrameError::Closed | FrameError::Io(_))) => return None,
        Ok(Err(error)) => format!("the first message to an executor must be `hello`: {error}"),
        Err(_) => {
            tracing::warn!(
                "a connection was closed over which nothing came within {HANDSHAKE_TIMEOUT:?}"
            );
            return None;
        }
    };
    tracing::warn!(why, "a hub was refused");
    let refusal = FromExecutor::Refused(Refusal {
        versions: VERSIONS,
        release: release.to_owned(),
        why,
    });
    let reply = async {
        write_frame(stream, &refusal, &Bytes::new()).await?;
        stream.flush().await.map_err(FrameError::from)
    };
    if !matches!(timeout(HANDSHAKE_TIMEOUT, reply).await, Ok(Ok(()))) {
        tracing::debug!("the refused hub did not hear why");
    }
    None
}

fn mismatch(release: &str, hello: &Hello) -> String {
    format!(
        "the executor (release {release}) speaks {}, the hub (release {}) speaks {}: \
         there is no version that both speak",
        spoken(VERSIONS),
        hello.release,
        spoken(hello.versions),
    )
}

fn spoken(versions: Versions) -> String {
    if versions.from == versions.to {
        format!("version {}", versions.from)
    } else {
        format!("versions {} to {}", versions.from, versions.to)
    }
}
