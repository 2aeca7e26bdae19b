//! The contract that every journal keeps, checked against each of them.

mod accepting;
mod ending;
mod keeping;
mod retention;

use std::future::Future;
use std::sync::Arc;

use tripline_journal::{JournalOptions, MemoryJournal, SqliteJournal};
use tripline_model::{Cursors, End, Ending, ManualClock, RequestId};

use crate::support::{at, clock};

/// A journal under test, with its clock.
pub(crate) struct Subject {
    pub(crate) journal: Arc<dyn tripline_journal::Journal>,
    pub(crate) cursors: Arc<dyn Cursors>,
    pub(crate) clock: Arc<ManualClock>,
}

/// Runs one check against each journal.
pub(crate) async fn each<F: Future<Output = ()>>(check: impl Fn(Subject) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let (memory_clock, sqlite_clock) = (clock(), clock());
    let memory = Arc::new(MemoryJournal::new(memory_clock.clone()));
    check(subject(memory, memory_clock)).await;
    let options = JournalOptions::default();
    let sqlite = SqliteJournal::open(dir.path(), options, sqlite_clock.clone()).unwrap();
    check(subject(Arc::new(sqlite), sqlite_clock)).await;
}

fn subject<J: tripline_journal::Journal>(journal: Arc<J>, clock: Arc<ManualClock>) -> Subject {
    Subject {
        cursors: journal.clone().cursors(),
        journal,
        clock,
    }
}

/// Ends an invocation, so many seconds after [`NOW`].
async fn end(s: &Subject, id: RequestId, end: End, seconds: u64) {
    let ending = Ending::new(end, at(seconds), "test");
    s.journal.finish(id, ending).await.unwrap();
}
