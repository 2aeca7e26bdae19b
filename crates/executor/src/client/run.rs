//! The events of one run, as the hub gets them.

use std::sync::Arc;

use bytes::Bytes;
use tripline_model::{LogStream, RequestId, Timestamp};

use super::inbox::Inbox;
use crate::protocol::Outcome;

/// A run that an executor holds. Dropping it leaves the run alone; it can be [attached](super::Client::attach) again.
pub struct Run {
    id: RequestId,
    inbox: Arc<Inbox>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// Lines that it wrote, in order, each once.
    Lines(Vec<NumberedLine>),
    /// It is over. All of its lines came before.
    Ended {
        /// How.
        outcome: Outcome,
        /// What it answered.
        result: Bytes,
        /// Whether nothing of it is alive. Otherwise `Reclaimed` comes later.
        reclaimed: bool,
    },
    /// Nothing of it is alive any more.
    Reclaimed,
    /// Its executor died, or does not hold the run.
    Lost {
        /// Why, for people.
        why: String,
        /// Whether nothing of it is alive. Otherwise `Reclaimed` comes later, and nothing else.
        reclaimed: bool,
    },
}

/// A line of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedLine {
    /// Its place among the run's lines, from 1.
    pub number: u64,
    /// When the executor read it.
    pub at: Timestamp,
    /// Where it was written.
    pub stream: LogStream,
    /// Its bytes without the line end, not necessarily UTF-8.
    pub text: Bytes,
    /// Whether the function ended the line; otherwise more of it may follow.
    pub complete: bool,
}

// === impl Run ===

impl Run {
    pub(super) fn new(id: RequestId, inbox: Arc<Inbox>) -> Self {
        Self { id, inbox }
    }

    /// Whose events these are.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Waits for what happens next. The future may be dropped and asked for again: nothing is missed. Once
    /// the run is reclaimed, and ended or lost, nothing comes and this waits for ever.
    pub async fn next(&mut self) -> RunEvent {
        self.inbox.next().await
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.inbox.leave();
    }
}
