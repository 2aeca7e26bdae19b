//! A write in the queue of the writer thread, and how its answer gets back to the caller.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::group::{Failure, Group};
use crate::JournalError;

/// A write with any type of answer.
pub(super) trait Work: Send {
    /// What it needs, asked before it runs.
    fn need(&self) -> Need;

    /// Runs it within a transaction. If that is undone, it may run again in another one.
    fn attempt(&mut self, group: &mut Group<'_>) -> Result<(), Failure>;

    /// Answers the caller: with the result of the last attempt if the transaction was committed, else with the error.
    fn answer(self: Box<Self>, committed: Result<(), JournalError>);
}

/// What a write needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// Whether it is refused while the disk is full.
    pub(super) room: bool,
    /// About how many bytes it writes, to bound the size of a transaction.
    pub(super) weight: usize,
}

/// A write given as a function, which may run more than once.
pub(super) struct Job<T, F> {
    need: Need,
    run: F,
    found: Result<T, JournalError>,
    reply: oneshot::Sender<Result<T, JournalError>>,
    _queued: OwnedSemaphorePermit,
}

/// Writes nothing, but makes the writer look for room on a full disk.
pub(super) struct LookForRoom;

// === impl Job ===

impl<T, F> Job<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Group<'_>) -> Result<T, Failure> + Send + 'static,
{
    /// A write for the queue, which keeps the permit `queued` until it is answered, and the receiver of its answer.
    pub(super) fn queued(
        need: Need,
        queued: OwnedSemaphorePermit,
        run: F,
    ) -> (Box<dyn Work>, oneshot::Receiver<Result<T, JournalError>>) {
        let (reply, answer) = oneshot::channel();
        let job = Self {
            need,
            run,
            found: Err(JournalError::Unavailable("it was not done".to_owned())),
            reply,
            _queued: queued,
        };
        (Box::new(job), answer)
    }
}

impl<T, F> Work for Job<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Group<'_>) -> Result<T, Failure> + Send + 'static,
{
    fn need(&self) -> Need {
        self.need
    }

    fn attempt(&mut self, group: &mut Group<'_>) -> Result<(), Failure> {
        self.found = match (self.run)(group) {
            Ok(found) => Ok(found),
            Err(Failure::Refused(why)) => Err(why),
            Err(undo) => return Err(undo),
        };
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), JournalError>) {
        // The caller may have dropped its future.
        let _ = self.reply.send(committed.and(self.found));
    }
}

impl Work for LookForRoom {
    fn need(&self) -> Need {
        Need {
            room: true,
            weight: 0,
        }
    }

    fn attempt(&mut self, _group: &mut Group<'_>) -> Result<(), Failure> {
        Ok(())
    }

    fn answer(self: Box<Self>, _committed: Result<(), JournalError>) {}
}
