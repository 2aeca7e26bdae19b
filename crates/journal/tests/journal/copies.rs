//! Journals that were copied: a hub on one would run again what ran where the original went on.

use std::fs;
use std::path::Path;

use tripline_journal::{
    Copied, Journal, JournalOptions, OpenError, SqliteJournal, inspect, would_open,
};

use crate::support::*;

fn opened(dir: &Path, copied: Copied) -> Result<SqliteJournal, OpenError> {
    let options = JournalOptions {
        copied,
        ..JournalOptions::default()
    };
    SqliteJournal::open(dir, options, clock())
}

#[tokio::test]
async fn a_copy_is_refused_until_it_is_adopted() {
    let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = open(original.path());
    let receipt = accept(&journal, "f", NOW).await;
    journal.close().await;
    fs::copy(
        original.path().join("journal.db"),
        copy.path().join("journal.db"),
    )
    .unwrap();
    assert!(inspect(copy.path()).unwrap().is_copy);
    let refused = would_open(copy.path());
    assert!(
        matches!(refused, Err(OpenError::Copied { .. })),
        "{refused:?}"
    );
    for _attempt in 0..2 {
        let refused = opened(copy.path(), Copied::Refuse).err();
        assert!(
            matches!(refused, Some(OpenError::Copied { .. })),
            "{refused:?}"
        );
    }

    let journal = opened(copy.path(), Copied::Adopt).unwrap();
    assert!(
        journal.get(receipt).await.unwrap().is_some(),
        "all is there"
    );
    journal.close().await;
    assert!(!inspect(copy.path()).unwrap().is_copy);
    opened(copy.path(), Copied::Refuse).unwrap().close().await;

    let found = inspect(original.path()).unwrap();
    assert!(!found.is_copy, "{found:?}");
    would_open(original.path()).unwrap();
    opened(original.path(), Copied::Refuse)
        .unwrap()
        .close()
        .await;
}

#[tokio::test]
async fn a_directory_that_was_renamed_is_no_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    open(&before).close().await;
    fs::rename(&before, &after).unwrap();
    opened(&after, Copied::Refuse).unwrap().close().await;
}

#[tokio::test]
async fn a_journal_of_before_it_was_noted_is_taken_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().await;
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let forgotten = connection.execute("DELETE FROM meta WHERE name = 'file'", []);
    assert_eq!(forgotten, Ok(1));
    drop(connection);
    opened(dir.path(), Copied::Refuse).unwrap().close().await;
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let noted = connection.query_row(
        "SELECT count(*) FROM meta WHERE name = 'file'",
        [],
        |found| found.get::<_, i64>(0),
    );
    assert_eq!(noted, Ok(1));
}

#[tokio::test]
async fn what_would_not_be_opened_is_said_without_a_change() {
    let dir = tempfile::tempdir().unwrap();
    would_open(dir.path()).unwrap();
    let journal = open(dir.path());
    let used = would_open(dir.path());
    assert!(matches!(used, Err(OpenError::Locked { .. })), "{used:?}");
    journal.close().await;
    would_open(dir.path()).unwrap();

    let path = dir.path().join("journal.db");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 1_000).unwrap();
    drop(newer);
    let refused = would_open(dir.path());
    assert!(
        matches!(refused, Err(OpenError::Newer { found: 1_000, .. })),
        "{refused:?}"
    );

    fs::write(&path, [7; 8192]).unwrap();
    let refused = would_open(dir.path());
    assert!(
        matches!(refused, Err(OpenError::Unusable { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), [7; 8192]);
}
