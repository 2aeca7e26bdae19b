//! The end of a run, until a hub has taken it.

use std::io;

use bytes::Bytes;

use super::spill::Piece;
use crate::protocol::{FromExecutor, Outcome};

/// Bytes of a result that are held in memory while no hub is there.
pub(super) const MAX_RESULT_IN_MEMORY: usize = 64 << 10;
/// Bytes of a result that fit into a frame together with the outcome.
const MAX_RESULT_BYTES: usize = 64 << 20;

/// The end of a run, until a hub has taken it.
#[derive(Debug)]
pub(super) struct PendingEnd {
    run: String,
    outcome: Outcome,
    result: ResultLocation,
    /// A result that was on disk, until it is sent.
    loaded: Option<io::Result<Bytes>>,
    /// Whether nothing of the run is alive.
    pub(super) reclaimed: bool,
    sent: Sent,
}

#[derive(Debug)]
enum ResultLocation {
    Memory(Bytes),
    /// In memory, and on its way to the disk.
    Leaving(Bytes),
    Spilled(Piece),
}

/// What the connection was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    /// That the run ended, but that something of it is alive.
    Ended,
    All,
}

// === impl PendingEnd ===

impl PendingEnd {
    pub(super) fn new(run: String, outcome: Outcome, result: &Bytes, reclaimed: bool) -> Self {
        let fits = result.len().min(MAX_RESULT_BYTES);
        Self {
            run,
            outcome: Outcome {
                result_cut: outcome.result_cut || fits < result.len(),
                ..outcome
            },
            result: ResultLocation::Memory(result.slice(..fits)),
            loaded: None,
            reclaimed,
            sent: Sent::Nothing,
        }
    }

    /// A result that is too large to wait in memory, on its way to the disk.
    pub(super) fn leave(&mut self) -> Option<Bytes> {
        let ResultLocation::Memory(result) = &self.result else {
            return None;
        };
        let result = result.clone();
        let is_large = result.len() > MAX_RESULT_IN_MEMORY;
        is_large.then(|| {
            self.result = ResultLocation::Leaving(result.clone());
            result
        })
    }

    /// The result is on the disk, or could not be brought there. Returns whether the piece is needed.
    pub(super) fn left(&mut self, piece: Option<Piece>) -> bool {
        let ResultLocation::Leaving(result) = &self.result else {
            return false;
        };
        self.result = match piece {
            Some(piece) => ResultLocation::Spilled(piece),
            None => ResultLocation::Memory(result.clone()),
        };
        piece.is_some()
    }

    /// A result that has to be read from the disk before the end can be sent.
    pub(super) fn wanted(&self) -> Option<Piece> {
        match self.result {
            ResultLocation::Spilled(piece)
                if self.sent == Sent::Nothing && self.loaded.is_none() =>
            {
                Some(piece)
            }
            _ => None,
        }
    }

    /// The result was read from the disk; without success it is lost.
    pub(super) fn load(&mut self, result: io::Result<Vec<u8>>) {
        if let Err(error) = &result {
            tracing::error!(run = self.run, %error, "a result could not be read back, and is lost");
        }
        if matches!(self.result, ResultLocation::Spilled(_)) {
            self.loaded = Some(result.map(Bytes::from));
        }
    }

    /// Everything is to be sent again.
    pub(super) fn reset_sent(&mut self) {
        self.sent = Sent::Nothing;
    }

    /// Drops the result; of the rest, only `Reclaimed` is still sent. Returns whether the result was on the disk.
    pub(super) fn forget(&mut self) -> bool {
        let result = std::mem::replace(&mut self.result, ResultLocation::Memory(Bytes::new()));
        self.loaded = None;
        if self.sent == Sent::Nothing {
            self.sent = self.sent_with_end();
        }
        matches!(result, ResultLocation::Spilled(_))
    }

    /// Whether something is still to be sent to the connection.
    pub(super) fn has_unsent(&self) -> bool {
        self.sent != Sent::All
    }

    /// The next message about it, if there is one now.
    pub(super) fn next(&mut self) -> Option<(FromExecutor, Bytes)> {
        match self.sent {
            Sent::Nothing => {
                let result = match &self.result {
                    ResultLocation::Memory(result) | ResultLocation::Leaving(result) => {
                        Ok(result.clone())
                    }
                    ResultLocation::Spilled(_) => self.loaded.take()?,
                };
                self.sent = self.sent_with_end();
                let mut outcome = self.outcome.clone();
                outcome.result_cut |= result.is_err();
                let ended = FromExecutor::Ended {
                    run: self.run.clone(),
                    outcome,
                    reclaimed: self.reclaimed,
                };
                Some((ended, result.unwrap_or_default()))
            }
            Sent::Ended if self.reclaimed => {
                self.sent = Sent::All;
                let run = self.run.clone();
                Some((FromExecutor::Reclaimed { run }, Bytes::new()))
            }
            Sent::Ended | Sent::All => None,
        }
    }

    /// What was sent once the end was sent.
    fn sent_with_end(&self) -> Sent {
        if self.reclaimed {
            Sent::All
        } else {
            Sent::Ended
        }
    }
}
