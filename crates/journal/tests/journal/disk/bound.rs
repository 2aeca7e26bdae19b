//! How much room ended records take on the disk while more and more of them come.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tripline_journal::{Journal, Retention, SqliteJournal};
use tripline_model::{Identity, InvocationState};
use tripline_skipped::full;

use crate::support::*;

/// Records in one round, and in one call.
const RECORDS: usize = 4000;
const CALL: usize = 500;

const RETENTION: Retention = Retention {
    keep_ended: Duration::from_secs(72 * 3600),
    keep_at_least: Duration::ZERO,
    max_bytes: 512 << 10,
    keep_removed: Duration::MAX,
};

/// Accepts the events of one round, all in this second, and ends them.
async fn round(journal: &SqliteJournal, second: u64) {
    let function = function("f");
    for _ in 0..RECORDS / CALL {
        let offers = (0..CALL).map(|_| new_at(at(second), offer("f", Identity::Unique)));
        journal.accept(offers.collect()).await.unwrap();
        let ended = journal.expire(&function, at(second + 1), at(second), CALL);
        assert_eq!(ended.await.unwrap().len(), CALL);
    }
}

/// Bytes in use, and bytes of the file after a checkpoint.
fn taken(dir: &Path) -> (u64, u64) {
    let connection = Connection::open(dir.join("journal.db")).unwrap();
    let pragma = |name: &str| -> u64 {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        value.unwrap().unsigned_abs()
    };
    let (pages, free) = (pragma("page_count"), pragma("freelist_count"));
    let page = pragma("page_size");
    ((pages - free) * page, pages * page)
}

#[tokio::test]
async fn many_thousand_ended_records_take_no_more_than_the_bound() {
    let rounds = full(8, 75);
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    round(&journal, 0).await;
    let (unbounded, _) = taken(dir.path());
    assert!(
        unbounded > RETENTION.max_bytes,
        "one round takes {unbounded}"
    );
    // Older than all others, and not ended.
    let waiting = accept(&journal, "waiting", at(0)).await;
    let running = accept(&journal, "running", at(0)).await;
    journal.start(running, at(0)).await.unwrap();
    for second in 1..=rounds {
        // What has ended is removed while others come.
        let (removed, ()) = tokio::join!(
            journal.purge(&RETENTION, at(second)),
            round(&journal, second)
        );
        removed.unwrap();
        journal.purge(&RETENTION, at(second + 1)).await.unwrap();
        let (used, size) = taken(dir.path());
        assert!(used <= RETENTION.max_bytes, "{used} in round {second}");
        // Freed room is used again, so the file is as large as was ever needed at once: what may stay, a round that is
        // being removed, and a round that comes.
        let most = RETENTION.max_bytes + 2 * unbounded;
        assert!(size <= most, "{size} in round {second}");
    }
    for live in [waiting, running] {
        let found = journal.get(live).await.unwrap();
        assert!(found.is_some_and(|one| !matches!(one.state, InvocationState::Ended(_))));
    }
}
