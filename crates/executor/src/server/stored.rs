//! A chunk of a backlog, in memory or on the disk.

use bytes::Bytes;

use super::chunk::Chunk;
use super::spill::Piece;

/// A chunk of a backlog.
#[derive(Debug)]
pub(super) struct Stored {
    /// Number of its first line.
    pub(super) first: u64,
    pub(super) location: ChunkLocation,
}

/// Where a chunk is.
#[derive(Debug)]
pub(super) enum ChunkLocation {
    Memory(Chunk),
    /// In memory, and on its way to the disk.
    Leaving(Chunk),
    Spilled {
        last: u64,
        piece: Piece,
    },
}

// === impl Stored ===

impl Stored {
    /// Without lines, of which the first will have this number.
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            location: ChunkLocation::Memory(Chunk::new(first)),
        }
    }

    /// Number of its last line.
    pub(super) fn last(&self) -> u64 {
        match &self.location {
            ChunkLocation::Memory(chunk) | ChunkLocation::Leaving(chunk) => chunk.last(),
            ChunkLocation::Spilled { last, .. } => *last,
        }
    }

    /// Bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        match &self.location {
            ChunkLocation::Memory(chunk) | ChunkLocation::Leaving(chunk) => chunk.memory(),
            ChunkLocation::Spilled { .. } => 0,
        }
    }

    /// What is to be brought to the disk of it. From now on no line is added.
    pub(super) fn leave(&mut self) -> Option<Bytes> {
        let ChunkLocation::Memory(chunk) = &mut self.location else {
            return None;
        };
        let chunk = std::mem::replace(chunk, Chunk::new(self.first));
        let bytes = chunk.encode();
        self.location = ChunkLocation::Leaving(chunk);
        Some(bytes.into())
    }

    /// It is on the disk, or could not be brought there. Returns whether the piece is needed.
    pub(super) fn left(&mut self, piece: Option<Piece>) -> bool {
        let last = self.last();
        let ChunkLocation::Leaving(chunk) = &mut self.location else {
            return false;
        };
        let chunk = std::mem::replace(chunk, Chunk::new(self.first));
        self.location = match piece {
            Some(piece) => ChunkLocation::Spilled { last, piece },
            None => ChunkLocation::Memory(chunk),
        };
        piece.is_some()
    }
}
