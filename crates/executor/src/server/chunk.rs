//! Lines of a run, packed as they travel: one chunk is one message.

use std::mem::size_of;

use bytes::Bytes;
use tripline_model::{LogStream, Timestamp};

use crate::protocol::LineHead;

/// Bytes of text in one chunk, at most; one line may be as long.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Lines in one chunk, at most: the heads of empty lines take room, too.
const MAX_LINES: usize = 512;
/// Bytes of a head on disk: stream, complete, time, length.
const HEAD_BYTES: usize = 14;

/// Lines with numbers that follow one another.
#[derive(Debug)]
pub(super) struct Chunk {
    first: u64,
    heads: Vec<Head>,
    texts: Vec<u8>,
}

/// A line without its text.
#[derive(Debug, Clone, Copy)]
struct Head {
    stream: LogStream,
    complete: bool,
    at: Timestamp,
    len: u32,
}

// === impl Chunk ===

impl Chunk {
    /// Bytes of memory that one takes, at most.
    pub(super) const MAX_MEMORY: usize = MAX_TEXT_BYTES + MAX_LINES * size_of::<Head>();

    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            heads: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Whether a line of `len` bytes still goes in.
    pub(super) fn fits(&self, len: usize) -> bool {
        self.heads.len() < MAX_LINES && self.texts.len() + len <= MAX_TEXT_BYTES
    }

    pub(super) fn push(&mut self, at: Timestamp, stream: LogStream, text: &[u8], complete: bool) {
        self.heads.push(Head {
            stream,
            complete,
            at,
            len: u32::try_from(text.len()).expect("a line is split long before 4 GiB"),
        });
        self.texts.extend_from_slice(text);
    }

    /// Number of the last line.
    pub(super) fn last(&self) -> u64 {
        self.first + (self.heads.len() as u64).saturating_sub(1)
    }

    /// Gives room back that was kept for more lines.
    pub(super) fn close(&mut self) {
        self.heads.shrink_to_fit();
        self.texts.shrink_to_fit();
    }

    /// Bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        self.texts.len() + self.heads.len() * size_of::<Head>()
    }

    /// The lines after number `after`, as they are sent: number of the first, heads, texts.
    pub(super) fn after(&self, after: u64) -> (u64, Vec<LineHead>, Bytes) {
        let skipped = (after + 1).saturating_sub(self.first);
        let skipped =
            usize::try_from(skipped).map_or(self.heads.len(), |n| n.min(self.heads.len()));
        let (before, heads) = self.heads.split_at(skipped);
        let from: usize = before.iter().map(|head| head.len as usize).sum();
        let texts = Bytes::copy_from_slice(&self.texts[from..]);
        let first = self.first + skipped as u64;
        (first, heads.iter().map(Head::message).collect(), texts)
    }

    /// The chunk as it lies on disk.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.heads.len() * HEAD_BYTES + self.texts.len());
        for head in &self.heads {
            let stream = match head.stream {
                LogStream::Stdout => 1,
                LogStream::Stderr => 2,
                LogStream::System => 3,
            };
            bytes.push(stream);
            bytes.push(u8::from(head.complete));
            bytes.extend_from_slice(&head.at.as_millis().to_be_bytes());
            bytes.extend_from_slice(&head.len.to_be_bytes());
        }
        bytes.extend_from_slice(&self.texts);
        bytes
    }

    /// The chunk out of `encode`'s bytes; `None` if they were damaged.
    pub(super) fn decode(first: u64, last: u64, mut bytes: Vec<u8>) -> Option<Self> {
        let count = usize::try_from(last - first + 1).ok()?;
        let heads = bytes.get(..count * HEAD_BYTES)?;
        let heads: Option<Vec<Head>> = heads.chunks_exact(HEAD_BYTES).map(Head::decode).collect();
        let texts = bytes.split_off(count * HEAD_BYTES);
        let heads = heads?;
        let len: usize = heads.iter().map(|head| head.len as usize).sum();
        (len == texts.len()).then_some(Self {
            first,
            heads,
            texts,
        })
    }
}

// === impl Head ===

impl Head {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (at, len) = bytes.get(2..)?.split_at_checked(8)?;
        Some(Self {
            stream: match bytes[0] {
                1 => LogStream::Stdout,
                2 => LogStream::Stderr,
                3 => LogStream::System,
                _ => return None,
            },
            complete: bytes[1] == 1,
            at: Timestamp::from_millis(i64::from_be_bytes(at.try_into().ok()?)),
            len: u32::from_be_bytes(len.try_into().ok()?),
        })
    }

    fn message(&self) -> LineHead {
        LineHead {
            stream: self.stream.as_str().to_owned(),
            at_ms: self.at.as_millis(),
            len: self.len,
            complete: self.complete,
        }
    }
}
