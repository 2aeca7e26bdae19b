//! One write on its way to the writer thread, and its answer on the way back.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::group::{Failure, Group};
use crate::JournalError;

/// A write, whatever it answers.
pub(super) trait Work: Send {
    /// What must be known of it before it is done.
    fn need(&self) -> Need;

    /// Does it within a transaction; may be done again in another one after the first was undone.
    fn attempt(&mut self, group: &mut Group<'_>) -> Result<(), Failure>;

    /// Tells the caller: what the last attempt found, if the transaction was committed.
    fn answer(self: Box<Self>, committed: Result<(), JournalError>);
}

/// What a write needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// Whether it is refused while the disk is full.
    pub(super) room: bool,
    /// Bytes that it writes, near enough to bound a transaction by.
    pub(super) weight: usize,
}

/// A write as a function, run once or more.
pub(super) struct Job<T, F> {
    need: Need,
    run: F,
    found: Result<T, JournalError>,
    reply: oneshot::Sender<Result<T, JournalError>>,
    _queued: OwnedSemaphorePermit,
}

/// Nothing to write: on a full disk it has the writer look for room.
pub(super) struct LookForRoom;

// === impl Job ===

impl<T, F> Job<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Group<'_>) -> Result<T, Failure> + Send + 'static,
{
    /// A write for the queue, which holds `queued` until it is answered, and where its answer comes.
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
        // Nobody listens if the caller's future was dropped: that is allowed.
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
