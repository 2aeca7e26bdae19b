//! Ends of many invocations at once.

use std::collections::HashSet;
use std::sync::Arc;

use tripline_model::{Ending, RequestId};

use super::SqliteJournal;
use super::group::Several;
use crate::JournalError;

impl SqliteJournal {
    /// Ends several. Those that wait and that SQLite cannot read are passed over: each undoes the transaction, which is
    /// then repeated without it.
    pub(super) async fn end_several(
        &self,
        which: Several,
        ending: Ending,
        limit: usize,
    ) -> Result<Vec<RequestId>, JournalError> {
        let (which, now) = (Arc::new((which, ending)), self.clock.now());
        let mut unreadable = HashSet::new();
        loop {
            let (which, except) = (Arc::clone(&which), unreadable.clone());
            let end = self.amend(move |group| {
                let (which, ending) = &*which;
                group.end_several(which, ending, now, (&except, limit))
            });
            match end.await {
                Err(JournalError::Damaged(id)) if unreadable.insert(id) => {}
                done => return done,
            }
        }
    }
}
