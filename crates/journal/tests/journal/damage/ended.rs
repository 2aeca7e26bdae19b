//! Ended records that the disk changed: retention removes them when they are due, like all others.

use std::time::Duration;

use bytes::Bytes;
use tripline_journal::{Health, Purged, Retention};
use tripline_model::{Invocation, InvocationState};

use super::*;

/// A function's name that is nowhere but in its records.
const NAME: &str = "some-function";

/// Removes what ended before [`NOW`] and an hour.
const AN_HOUR: Retention = Retention {
    keep_ended: HOUR,
    keep_at_least: Duration::ZERO,
    max_bytes: u64::MAX,
    keep_removed: Duration::MAX,
};

/// A stopped journal with three runs that took long, failed, and have a result.
async fn kept() -> (TempDir, Vec<Invocation>) {
    let dir = tempfile::tempdir().unwrap();
    let journal = opened(dir.path()).unwrap();
    let mut all = Vec::new();
    for second in 0..3 {
        let id = accept(&journal, NAME, at(second)).await;
        journal.start(id, at(second)).await.unwrap();
        let ending = Ending {
            result: Some(Bytes::from_static(b"the answer")),
            ..Ending::new(End::Failed, at(second + 100), "exit_code")
        };
        journal.finish(id, ending).await.unwrap();
        all.push(Journal::get(&journal, id).await.unwrap().unwrap());
    }
    journal.close().await;
    (dir, all)
}

/// Where the record of an invocation is in the file: its id, and what its acceptance wrote.
fn record(file: &[u8], id: RequestId) -> usize {
    let row = [&id.as_bytes()[..], NAME.as_bytes(), b"door"].concat();
    let found = file.windows(row.len()).position(|at| at == row);
    found.expect("it is there")
}

/// How many entries indexes have, which SQLite's own check does not count where an index is of some records only.
fn entries(dir: &Path) -> [i64; 4] {
    let connection = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
    [
        ("by_function", "true"),
        ("by_trigger", "via IS NOT NULL"),
        ("troubled", "state > 2"),
        ("ended", "ended_at IS NOT NULL"),
    ]
    .map(|(index, which)| {
        let sql = format!("SELECT count(*) FROM invocations INDEXED BY {index} WHERE {which}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    })
}

async fn failed(journal: &SqliteJournal) -> u64 {
    let counts = journal.counts().await.unwrap();
    let state = InvocationState::Ended(End::Failed);
    let one = counts
        .iter()
        .find(|(name, of, _)| (name.as_str(), *of) == (NAME, state));
    one.map_or(0, |(_, _, count)| *count)
}

/// Whatever changes of an ended record, it is removed when it is due, or passed over; nothing else suffers.
#[tokio::test]
async fn a_damaged_record_does_not_hold_up_retention() {
    let (dir, records) = kept().await;
    let file = fs::read(dir.path().join("journal.db")).unwrap();
    let id = records[1].request_id;
    let bytes = own_bytes(&file, record(&file, id));
    let (mut removed, mut passed_over) = (0, 0);
    for byte in bytes {
        let damaged = changed(dir.path(), "journal.db", |bytes| {
            bytes[byte] ^= 1 << (byte % 8);
        });
        let journal = opened(damaged.path()).unwrap();
        let due = journal.purge(&AN_HOUR, at(2 * 3600)).await;
        let purged = due.unwrap_or_else(|error| panic!("byte {byte}: {error}"));
        let again = journal.purge(&AN_HOUR, at(2 * 3600)).await;
        assert_eq!(again, Ok(Purged::default()), "byte {byte}");
        assert_eq!(journal.health(), Health::Ok, "byte {byte}");
        assert_eq!(
            failed(&journal).await,
            3 - purged.invocations,
            "byte {byte}"
        );
        accept(&journal, NAME, at(9)).await;
        journal.close().await;
        match purged.invocations {
            3 => {
                removed += 1;
                let found = inspect(damaged.path()).unwrap();
                assert!(!found.is_damaged(), "byte {byte}: {}", words(&found));
                assert_eq!(entries(damaged.path()), [1, 1, 0, 0], "byte {byte}");
            }
            2 => passed_over += 1,
            other => panic!("byte {byte}: {other} were removed"),
        }
    }
    // Where SQLite cannot read the lengths, it can neither read nor remove the record.
    assert!(
        removed >= 100 && passed_over <= 25,
        "{removed} removed, {passed_over} not"
    );
}

#[tokio::test]
async fn an_index_that_cannot_be_read_does_not_stop_the_writes() {
    let (dir, _) = kept().await;
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'ended'";
    let page: u32 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    let page = page as usize;
    drop(connection);
    let damaged = changed(dir.path(), "journal.db", |bytes| {
        bytes[(page - 1) * 8192..page * 8192].fill(7);
    });
    let journal = opened(damaged.path()).unwrap();
    let purged = journal.purge(&AN_HOUR, at(2 * 3600)).await;
    assert!(
        matches!(purged, Err(JournalError::Unavailable(_))),
        "{purged:?}"
    );
    accept(&journal, NAME, at(9)).await;
    journal.close().await;
}

/// What waits does not count towards the size, so its record tells how much that may be.
#[tokio::test]
async fn a_damaged_record_that_waits_does_not_lift_the_bound_of_the_size() {
    let (dir, _) = kept().await;
    let journal = opened(dir.path()).unwrap();
    let id = accept(&journal, NAME, at(300)).await;
    journal.close().await;
    let huge = changed(dir.path(), "journal.db", |_| {});
    let connection = rusqlite::Connection::open(huge.path().join("journal.db")).unwrap();
    let sql = "UPDATE invocations SET data_len = data_len + (1 << 60) WHERE id = ?1";
    assert_eq!(connection.execute(sql, [id.as_bytes()]), Ok(1));
    drop(connection);
    let unreadable = changed(dir.path(), "journal.db", |bytes| {
        let at = record(bytes, id);
        // Its trigger is now longer than the record.
        bytes[at - 25] = 0x7f;
    });
    let no_room = Retention {
        keep_ended: Duration::MAX,
        max_bytes: 1,
        ..AN_HOUR
    };
    for damaged in [huge, unreadable] {
        let journal = opened(damaged.path()).unwrap();
        let purged = journal.purge(&no_room, at(400)).await;
        assert_eq!(purged.map(|purged| purged.invocations), Ok(3));
        journal.close().await;
    }
}
