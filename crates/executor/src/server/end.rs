//! The end of a run, until a hub has taken it.

use std::io;

use bytes::Bytes;

use super::spill::Piece;
use crate::protocol::{FromExecutor, Outcome};

/// Bytes of a result that are held in memory while no hub is there.
pub(super) const SMALL: usize = 64 << 10;
/// Bytes of a result that fit into a frame with all that is said about it.
const MAX_RESULT_BYTES: usize = 64 << 20;

/// The end of a run.
#[derive(Debug)]
pub(super) struct End {
    run: String,
    outcome: Outcome,
    result: Place,
    /// A result that was on disk, until it is told.
    loaded: Option<io::Result<Bytes>>,
    /// Whether nothing of the run is alive.
    pub(super) reclaimed: bool,
    told: Told,
}

#[derive(Debug)]
enum Place {
    Memory(Bytes),
    /// In memory, and on its way to the disk.
    Leaving(Bytes),
    Spilled(Piece),
}

/// What the connection was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// That the run ended, but that something of it is alive.
    Ended,
    All,
}

// === impl End ===

impl End {
    pub(super) fn new(run: String, outcome: Outcome, result: &Bytes, reclaimed: bool) -> Self {
        let fits = result.len().min(MAX_RESULT_BYTES);
        Self {
            run,
            outcome: Outcome {
                result_cut: outcome.result_cut || fits < result.len(),
                ..outcome
            },
            result: Place::Memory(result.slice(..fits)),
            loaded: None,
            reclaimed,
            told: Told::Nothing,
        }
    }

    /// A result that is too large to wait in memory, on its way to the disk.
    pub(super) fn leave(&mut self) -> Option<Bytes> {
        let Place::Memory(result) = &self.result else {
            return None;
        };
        let result = result.clone();
        let is_large = result.len() > SMALL;
        is_large.then(|| {
            self.result = Place::Leaving(result.clone());
            result
        })
    }

    /// The result is on the disk, or could not be brought there. Says whether the piece is needed.
    pub(super) fn left(&mut self, piece: Option<Piece>) -> bool {
        let Place::Leaving(result) = &self.result else {
            return false;
        };
        self.result = match piece {
            Some(piece) => Place::Spilled(piece),
            None => Place::Memory(result.clone()),
        };
        piece.is_some()
    }

    /// A result that has to be read from the disk before the end can be told.
    pub(super) fn wanted(&self) -> Option<Piece> {
        match self.result {
            Place::Spilled(piece) if self.told == Told::Nothing && self.loaded.is_none() => {
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
        if matches!(self.result, Place::Spilled(_)) {
            self.loaded = Some(result.map(Bytes::from));
        }
    }

    /// Says everything again.
    pub(super) fn untell(&mut self) {
        self.told = Told::Nothing;
    }

    /// Drops the result; of the rest, only `Reclaimed` is still told. Says whether it was on the disk.
    pub(super) fn forget(&mut self) -> bool {
        let result = std::mem::replace(&mut self.result, Place::Memory(Bytes::new()));
        self.loaded = None;
        if self.told == Told::Nothing {
            self.told = self.all_there_is();
        }
        matches!(result, Place::Spilled(_))
    }

    /// Whether the connection was not told everything.
    pub(super) fn owes(&self) -> bool {
        self.told != Told::All
    }

    /// The next message about it, if there is one now.
    pub(super) fn next(&mut self) -> Option<(FromExecutor, Bytes)> {
        match self.told {
            Told::Nothing => {
                let result = match &self.result {
                    Place::Memory(result) | Place::Leaving(result) => Ok(result.clone()),
                    Place::Spilled(_) => self.loaded.take()?,
                };
                self.told = self.all_there_is();
                let mut outcome = self.outcome.clone();
                outcome.result_cut |= result.is_err();
                let ended = FromExecutor::Ended {
                    run: self.run.clone(),
                    outcome,
                    reclaimed: self.reclaimed,
                };
                Some((ended, result.unwrap_or_default()))
            }
            Told::Ended if self.reclaimed => {
                self.told = Told::All;
                let run = self.run.clone();
                Some((FromExecutor::Reclaimed { run }, Bytes::new()))
            }
            Told::Ended | Told::All => None,
        }
    }

    /// What the connection knows once it was told of the end.
    fn all_there_is(&self) -> Told {
        if self.reclaimed {
            Told::All
        } else {
            Told::Ended
        }
    }
}
