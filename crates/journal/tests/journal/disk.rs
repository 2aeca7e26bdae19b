//! The data directory: its one owner, its files, what survives a restart, and full disks.

mod bound;
mod full;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rusqlite::Connection;
use tripline_journal::{
    Accepted, Health, Journal, JournalOptions, OpenError, Purged, Retention, SqliteJournal,
};
use tripline_model::{End, Ending, Identity, InvocationState};

use crate::support::*;

#[test]
fn the_second_hub_is_told_who_the_first_is() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = SqliteJournal::open(dir.path(), JournalOptions::default(), clock());
    let us = std::process::id();
    assert!(
        matches!(second, Err(OpenError::Locked { pid, .. }) if pid == us),
        "{:?}",
        second.err()
    );
    drop(first);
}

#[tokio::test]
async fn everything_survives_a_close_and_so_does_the_name_of_the_hub() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let (hub, id) = (journal.hub_id(), accept(&journal, "f", at(0)).await);
    let known = new_at(at(0), offer("f", key("k", HOUR, None)));
    let known_id = known.request_id;
    journal.accept(vec![known]).await.unwrap();
    journal.start(id, at(1)).await.unwrap();
    journal.close().await;
    let wal = fs::metadata(dir.path().join("journal.db-wal")).map_or(0, |file| file.len());
    assert_eq!(wal, 0, "the WAL was not checkpointed");

    let journal = open(dir.path());
    assert_eq!(journal.hub_id(), hub);
    let read = Journal::get(&journal, id).await.unwrap().unwrap();
    assert_eq!(read.state, InvocationState::Running);
    let again = new_at(at(9), offer("f", key("k", HOUR, None)));
    let answer = journal.accept(vec![again]).await;
    assert_eq!(answer, Ok(vec![Accepted::Known(known_id)]));
}

#[test]
fn the_directory_and_its_files_are_for_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/data");
    fs::create_dir_all(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let _journal = open(&data);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data.clone()), 0o700);
    for name in [
        "journal.db",
        "journal.db-wal",
        "journal.db-shm",
        "lock",
        "reserve",
    ] {
        assert_eq!(mode(data.join(name)), 0o600, "{name}");
    }
    let reserve = fs::metadata(data.join("reserve")).unwrap();
    assert_eq!(reserve.len(), 1 << 20);
}

#[test]
fn a_directory_that_others_can_write_is_used_only_if_it_is_empty() {
    for mode in [0o770, 0o777, 0o1777, 0o702] {
        let dir = tempfile::tempdir().unwrap();
        let loosen = || fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        loosen();
        drop(open(dir.path()));
        let tightened = fs::metadata(dir.path()).unwrap().permissions().mode();
        assert_eq!(tightened & 0o777, 0o700);
        loosen();
        let refused = SqliteJournal::open(dir.path(), JournalOptions::default(), clock());
        let error = refused.err().expect("it is refused").to_string();
        assert!(error.contains("chmod 700"), "{error}");
        let kept = fs::metadata(dir.path()).unwrap().permissions().mode();
        assert_eq!(kept & 0o7777, mode, "nothing is changed");
    }
}

#[test]
fn a_newer_journal_and_a_stranger_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let newer = Connection::open(dir.path().join("journal.db")).unwrap();
    newer
        .execute_batch("CREATE TABLE t (a); PRAGMA user_version = 99")
        .unwrap();
    let refused = SqliteJournal::open(dir.path(), JournalOptions::default(), clock());
    let refused = refused.err();
    assert!(
        matches!(refused, Some(OpenError::Newer { found: 99, .. })),
        "{refused:?}"
    );
    newer.execute_batch("PRAGMA user_version = 1").unwrap();
    let refused = SqliteJournal::open(dir.path(), JournalOptions::default(), clock()).err();
    assert!(
        matches!(refused, Some(OpenError::Unusable { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn callers_at_the_same_time_share_flushes_and_all_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let journal = std::sync::Arc::new(open(dir.path()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let journal = journal.clone();
        tasks.spawn(async move { accept(&*journal, "f", at(0)).await });
    }
    let ids = tasks.join_all().await;
    for id in ids {
        assert!(Journal::get(&*journal, id).await.unwrap().is_some());
    }
    let lengths = journal.queue_lengths().await.unwrap();
    assert_eq!(lengths, [(function("f"), 300)]);
}

#[tokio::test]
async fn the_size_is_held_by_removing_the_oldest_ends() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut ids = Vec::new();
    for n in 0..3000 {
        ids.push(new_at(at(n), offer("f", Identity::Unique)));
    }
    let all: Vec<_> = ids.iter().map(|new| new.request_id).collect();
    journal.accept(ids).await.unwrap();
    let f = function("f");
    // The newest half ends first.
    journal.expire(&f, at(4000), at(5000), 0).await.unwrap();
    for (n, id) in all.iter().rev().enumerate() {
        if n < 10 {
            journal.start(*id, at(4000)).await.unwrap();
            let ending = Ending::new(End::Succeeded, at(4001), "first");
            journal.finish(*id, ending).await.unwrap();
        }
    }
    while !journal
        .expire(&f, at(4000), at(5000), 1000)
        .await
        .unwrap()
        .is_empty()
    {}
    let retention = Retention {
        keep_ended: 72 * HOUR,
        keep_at_least: Duration::ZERO,
        max_bytes: 500_000,
        keep_removed: Duration::MAX,
    };
    let Purged { invocations, .. } = journal.purge(&retention, at(5001)).await.unwrap();
    assert!((500..=3000).contains(&invocations), "{invocations}");
    assert_eq!(
        Journal::get(&journal, all[2999]).await,
        Ok(None),
        "its end was the oldest"
    );
    assert_eq!(journal.health(), Health::Ok);
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_migrated_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let (ended, running) = (
        accept(&journal, "f", at(0)).await,
        accept(&journal, "f", at(1)).await,
    );
    for id in [ended, running] {
        journal.start(id, at(2)).await.unwrap();
    }
    let old = Ending::new(End::Failed, at(3), "exit_code");
    journal.finish(ended, old.clone()).await.unwrap();
    journal.close().await;
    let back = "DROP INDEX ended; DROP INDEX long;
        ALTER TABLE invocations DROP COLUMN kept_from;
        CREATE INDEX ended ON invocations (ended_at, id) WHERE ended_at IS NOT NULL;
        ALTER TABLE invocations DROP COLUMN duration_ms;
        ALTER TABLE invocations DROP COLUMN peak_memory_bytes;
        ALTER TABLE invocations DROP COLUMN memory_limit_bytes;
        ALTER TABLE invocations DROP COLUMN accepted_crc;
        ALTER TABLE invocations DROP COLUMN ended_crc;
        ALTER TABLE invocations DROP COLUMN result_crc;
        ALTER TABLE payloads DROP COLUMN crc; PRAGMA user_version = 1;";
    let file = Connection::open(dir.path().join("journal.db")).unwrap();
    file.execute_batch(back).unwrap();
    drop(file);
    let found = tripline_journal::inspect(dir.path()).unwrap();
    assert!(!found.is_damaged(), "as it was then: {found:?}");
    let journal = open(dir.path());
    let new = Ending {
        duration_ms: Some(1250),
        peak_memory_bytes: Some(31_457_280),
        memory_limit_bytes: Some(64 << 20),
        ..Ending::new(End::Succeeded, at(4), "exit_code")
    };
    journal.finish(running, new.clone()).await.unwrap();
    for (id, ending) in [(ended, old), (running, new)] {
        let read = Journal::get(&journal, id).await.unwrap().unwrap();
        assert_eq!(read.ending, Some(ending));
    }
    let retention = Retention {
        keep_ended: Duration::from_secs(10),
        keep_at_least: Duration::ZERO,
        max_bytes: u64::MAX,
        keep_removed: Duration::MAX,
    };
    let spared = journal.oldest_with_log_to_keep(at(0)).await;
    assert_eq!(spared, Ok(None), "both were short");
    let purged = journal.purge(&retention, at(14)).await.unwrap();
    assert_eq!(purged.invocations, 1, "an old one counts from its end");
    assert_eq!(Journal::get(&journal, ended).await, Ok(None));
}
