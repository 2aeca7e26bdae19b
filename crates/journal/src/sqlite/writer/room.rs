//! Whether there is room for events, and what is done while there is none.

use tokio::time::Instant;

use super::{Checkpoints, Writer};
use crate::sqlite::{checkpoint, schema};

impl Writer {
    /// What there is for a new life to do: it may begin on a full disk.
    pub(in crate::sqlite) fn begin(&mut self) {
        if !self.find_room() {
            self.note_full();
        }
    }

    fn note_full(&mut self) {
        self.shared.set_full(true);
        if let Checkpoints::Thread { wake, .. } = &self.checkpoints {
            // From now on it looks at the disk more often. If it works already, it will see that by itself.
            let _ = wake.try_send(());
        }
        self.look_again = Some(Instant::now() + checkpoint::ROOM_CHECK_INTERVAL);
    }

    /// There is no room: from now on events are refused, and ends have the reserve.
    pub(super) fn enter_full(&mut self) {
        self.note_full();
        self.give_reserve();
    }

    /// Whether there is room after all where a write found none: the file may have been full, which does not grow, and
    /// the disk may have had room for long. Asks the disk alone, for the write found the free pages wanting, and is true
    /// no second time, for then the file may grow.
    pub(super) fn outgrow(&mut self) -> bool {
        if !self.must_not_grow {
            return false;
        }
        self.give_reserve();
        self.reserve.make().is_ok() && found_or_warn(self.use_reserve())
    }

    /// Lets the journal have the room of the reserve.
    fn give_reserve(&mut self) {
        self.must_not_grow = false;
        if let Err(error) = self.reserve.release() {
            tracing::error!(%error, "the reserve could not be given to the journal");
        }
        // Ends may make the file larger: that is what the reserve is for.
        if let Err(error) = schema::let_grow(&self.connection, true) {
            tracing::error!(%error, "the journal's file cannot grow");
        }
        // The reserve is larger than the WAL: there is room to checkpoint all of it, which frees the room of the WAL.
        self.truncate_wal_or_warn();
    }

    /// Takes the reserve back, if the disk has room again.
    pub(super) fn leave_full(&mut self) -> bool {
        let now = Instant::now();
        if self.look_again.is_some_and(|at| now < at) {
            return false;
        }
        self.look_again = Some(now + checkpoint::ROOM_CHECK_INTERVAL);
        let room = self.find_room();
        if room {
            self.shared.set_full(false);
        }
        room
    }

    /// Whether there is room for events, on the disk or in the file. Takes the reserve, if so.
    fn find_room(&mut self) -> bool {
        if self.reserve.make().is_ok() {
            found_or_warn(self.use_reserve())
        } else {
            found_or_warn(self.find_free_pages())
        }
    }

    /// Keeps the WAL within the whole reserve, which was just made.
    fn use_reserve(&mut self) -> rusqlite::Result<bool> {
        self.must_not_grow = false;
        self.wal_size.set_reserve(self.reserve.bytes());
        schema::let_grow(&self.connection, true)?;
        Ok(true)
    }

    /// A file that filled the disk keeps its length, whatever is removed from it. Its free pages are room for events as
    /// long as it does not grow: then the little that the disk has is left for the WAL, and for ends when they are used up.
    fn find_free_pages(&mut self) -> rusqlite::Result<bool> {
        if schema::free_bytes(&self.connection)? < self.reserve.bytes() {
            return Ok(false);
        }
        self.truncate_wal_or_warn();
        if self.reserve.make_part().is_err() {
            return Ok(false);
        }
        self.wal_size.set_reserve(self.reserve.part());
        schema::let_grow(&self.connection, false)?;
        self.must_not_grow = true;
        tracing::info!(
            "the journal goes on in the free pages of its file, which the disk cannot let grow"
        );
        Ok(true)
    }
}

/// Whether room was found. A failure is logged and counts as no room.
fn found_or_warn(found: rusqlite::Result<bool>) -> bool {
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, "the journal cannot look for room");
        false
    })
}
