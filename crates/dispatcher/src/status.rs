//! What a dispatcher reports of itself.

use tripline_model::Function;

/// A function and what it has to do right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionStatus {
    /// Its settings.
    pub function: Function,
    /// Accepted invocations that wait for their start.
    pub queued: u64,
    /// Invocations between their start and their end.
    pub running: u64,
    /// Invocations that have ended and keep their slot, because something of them is still alive.
    pub reclaim_pending: u64,
}
