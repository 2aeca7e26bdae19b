//! Whether there is room for events, and what is done while there is none.

use tokio::time::Instant;

use super::{Checkpoints, Writer};
use crate::sqlite::{checkpoint, schema};

impl Writer {
    /// Prepares the first write: the disk may be full from the beginning.
    pub(in crate::sqlite) fn begin(&mut self) {
        if !self.find_room() {
            self.note_full();
        }
    }

    fn note_full(&mut self) {
        self.shared.set_full(true);
        if let Checkpoints::Thread { wake, .. } = &self.checkpoints {
            // So that it checks for room more often from now on. If it is busy, it notices by itself.
            let _ = wake.try_send(());
        }
        self.look_again = Some(Instant::now() + checkpoint::ROOM_CHECK_INTERVAL);
    }

    /// There is no room: from now on events are refused, and ends use the reserve.
    pub(super) fn enter_full(&mut self) {
        self.note_full();
        self.give_reserve();
    }

    /// Whether there is room after all when a write found none. Perhaps only the file was full, because it must not
    /// grow, while the disk has room again. Free pages are not tried: the write has just found none. True at most once
    /// in a row, because then the file may grow.
    pub(super) fn outgrow(&mut self) -> bool {
        if !self.must_not_grow {
            return false;
        }
        self.give_reserve();
        self.reserve.make().is_ok() && found_or_warn(self.use_reserve())
    }

    /// Gives the room of the reserve to the journal.
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

    /// A file that filled the disk does not shrink when records are removed. Its free pages are then room for events,
    /// but the file must not grow: the little room on the disk is for the WAL, and for ends when the free pages are used
    /// up.
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
