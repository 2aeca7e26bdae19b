//! The end of a run, until a hub has taken it.

use bytes::Bytes;

use super::spill::{Piece, Spill};
use crate::protocol::{FromExecutor, Outcome};

/// Bytes of a result that are held in memory while no hub is there.
pub(super) const SMALL: usize = 64 << 10;
/// Bytes of a result that fit into a frame with all that is said about it.
const MAX_RESULT_BYTES: usize = 64 << 20;

/// The end of a run.
#[derive(Debug)]
pub(super) struct End {
    outcome: Outcome,
    result: Place,
    /// Whether nothing of the run is alive.
    pub(super) reclaimed: bool,
    told: Told,
}

#[derive(Debug)]
enum Place {
    Memory(Bytes),
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
    pub(super) fn new(outcome: Outcome, result: Bytes, reclaimed: bool) -> Self {
        let fits = result.len().min(MAX_RESULT_BYTES);
        Self {
            outcome: Outcome {
                result_cut: outcome.result_cut || fits < result.len(),
                ..outcome
            },
            result: Place::Memory(result.slice(..fits)),
            reclaimed,
            told: Told::Nothing,
        }
    }

    /// Whether `spill` has something to do.
    pub(super) fn is_large(&self) -> bool {
        matches!(&self.result, Place::Memory(result) if result.len() > SMALL)
    }

    /// Whether `next` may read from the disk.
    pub(super) fn is_spilled(&self) -> bool {
        matches!(self.result, Place::Spilled(_))
    }

    /// Moves a large result to the disk. It stays in memory if that does not work.
    pub(super) fn spill(&mut self, to: &mut Spill) {
        let Place::Memory(result) = &self.result else {
            return;
        };
        if result.len() > SMALL {
            match to.write(result) {
                Ok(piece) => self.result = Place::Spilled(piece),
                Err(error) => tracing::warn!(%error, "a result stays in memory"),
            }
        }
    }

    /// Says everything again.
    pub(super) fn untell(&mut self) {
        self.told = Told::Nothing;
    }

    /// Drops the result; of the rest, only `Reclaimed` is still told.
    pub(super) fn forget(&mut self, spill: &mut Spill) {
        let result = std::mem::replace(&mut self.result, Place::Memory(Bytes::new()));
        if let Place::Spilled(piece) = result {
            spill.release(piece);
        }
        if self.told == Told::Nothing {
            self.told = if self.reclaimed {
                Told::All
            } else {
                Told::Ended
            };
        }
    }

    /// Whether the connection was not told everything.
    pub(super) fn owes(&self) -> bool {
        self.told != Told::All
    }

    /// The next message about it, if there is one now.
    pub(super) fn next(&mut self, run: String, spill: &Spill) -> Option<(FromExecutor, Bytes)> {
        match self.told {
            Told::Nothing => {
                self.told = if self.reclaimed {
                    Told::All
                } else {
                    Told::Ended
                };
                Some(self.message(run, spill))
            }
            Told::Ended if self.reclaimed => {
                self.told = Told::All;
                Some((FromExecutor::Reclaimed { run }, Bytes::new()))
            }
            Told::Ended | Told::All => None,
        }
    }

    fn message(&self, run: String, spill: &Spill) -> (FromExecutor, Bytes) {
        let mut outcome = self.outcome.clone();
        let result = match &self.result {
            Place::Memory(result) => result.clone(),
            Place::Spilled(piece) => match spill.read(*piece) {
                Ok(bytes) => Bytes::from(bytes),
                Err(error) => {
                    tracing::error!(run, %error, "a result could not be read back, and is lost");
                    outcome.result_cut = true;
                    Bytes::new()
                }
            },
        };
        let reclaimed = self.reclaimed;
        let ended = FromExecutor::Ended {
            run,
            outcome,
            reclaimed,
        };
        (ended, result)
    }
}
