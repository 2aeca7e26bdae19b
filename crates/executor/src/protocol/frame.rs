//! Frames: two lengths (big-endian, 32 bits), the message as JSON, the blob.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of one frame, at most: an event or a result, and room for its message.
pub const MAX_FRAME_BYTES: usize = 72 << 20;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side is gone. Between two frames this is how a connection ends.
    #[error("the connection is closed")]
    Closed,
    /// It is larger than a frame may be.
    #[error("a frame of {length} bytes is more than the {most} that are allowed")]
    TooLarge {
        /// Its bytes.
        length: usize,
        /// How many there may be.
        most: usize,
    },
    /// It is no message that this build knows.
    #[error("not a message: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads one message and its blob.
pub async fn read_frame<M: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<(M, Bytes), FrameError> {
    read_small_frame(from, MAX_FRAME_BYTES).await
}

/// The same, with frames of at most `most` bytes.
pub(crate) async fn read_small_frame<M: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> Result<(M, Bytes), FrameError> {
    let mut head = [0; 8];
    let mut read = 0;
    while read < head.len() {
        match from.read(&mut head[read..]).await? {
            0 if read == 0 => return Err(FrameError::Closed),
            0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            count => read += count,
        }
    }
    let [a, b, c, d, e, f, g, h] = head;
    let message = u32::from_be_bytes([a, b, c, d]) as usize;
    let blob = u32::from_be_bytes([e, f, g, h]) as usize;
    let length = message.saturating_add(blob);
    if length > most {
        return Err(FrameError::TooLarge { length, most });
    }
    let mut bytes = BytesMut::zeroed(length);
    from.read_exact(&mut bytes).await?;
    let blob = bytes.split_off(message).freeze();
    Ok((serde_json::from_slice(&bytes)?, blob))
}

/// Writes one message and its blob. The writer should be buffered, and flushed when nothing more follows at once.
pub async fn write_frame<M: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    message: &M,
    blob: &[u8],
) -> Result<(), FrameError> {
    let message = serde_json::to_vec(message)?;
    let (length, most) = (message.len().saturating_add(blob.len()), MAX_FRAME_BYTES);
    let lengths = (u32::try_from(message.len()), u32::try_from(blob.len()));
    let (Ok(message_len), Ok(blob_len)) = lengths else {
        return Err(FrameError::TooLarge { length, most });
    };
    if length > most {
        return Err(FrameError::TooLarge { length, most });
    }
    to.write_all(&message_len.to_be_bytes()).await?;
    to.write_all(&blob_len.to_be_bytes()).await?;
    to.write_all(&message).await?;
    to.write_all(blob).await?;
    Ok(())
}
