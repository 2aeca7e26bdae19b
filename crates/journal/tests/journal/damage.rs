//! Data directories that something other than a hub has written to: a hub refuses them, or still has all that it gave
//! receipts for.

mod ended;
mod flips;
mod waiting;
mod wal;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tripline_journal::{
    Copied, Inspection, Journal, JournalError, JournalOptions, KnownFunction, OpenError, Portion,
    Query, Settled, SqliteJournal, inspect, known_functions, would_open,
};
use tripline_model::{End, Ending, Execution, RequestId};

use crate::support::*;

/// A data directory as `kill -9` leaves it, with everything in the write-ahead log (WAL), and the receipts in their
/// order, each from a transaction of its own.
async fn killed() -> (TempDir, Vec<RequestId>) {
    let (alive, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = opened(alive.path()).unwrap();
    let mut receipts = Vec::new();
    for second in 0..20 {
        receipts.push(accept(&journal, "f", at(second)).await);
    }
    copy(alive.path(), dead.path());
    journal.close().await;
    (dead, receipts)
}

/// Copies all files of a journal, as far as they exist.
fn copy(from: &Path, to: &Path) {
    for name in ["journal.db", "journal.db-wal", "journal.db-shm", "moved"] {
        match fs::copy(from.join(name), to.join(name)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// Opens a journal with a reserve so large that everything stays in the WAL.
fn opened(dir: &Path) -> Result<SqliteJournal, OpenError> {
    let options = JournalOptions {
        reserve_bytes: 16 << 20,
        copied: Copied::Adopt,
        ..JournalOptions::default()
    };
    SqliteJournal::open(dir, options, clock())
}

/// A copy of the directory `from` whose file `name` was changed.
fn changed(from: &Path, name: &str, change: impl Fn(&mut Vec<u8>)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(from, dir.path());
    let path = dir.path().join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    dir
}

/// The bytes of a record whose id is at `start`, from the lengths of its values to its end. Its own length and its id are
/// left out: they are the way to the other records, and SQLite does not find those without.
fn own_bytes(file: &[u8], start: usize) -> impl Iterator<Item = usize> + use<> {
    let end = start + 16 + values_length(file, start);
    (start - 26..start).chain(start + 16..end)
}

/// How many bytes the values of a record have after its id, which is at `start`, by the kinds of them that stand before it.
/// No two records need have the same, for a checksum takes as many bytes as it needs.
fn values_length(file: &[u8], start: usize) -> usize {
    let kinds = file[start - 26..start].iter();
    let lengths = kinds.map(|kind| match usize::from(*kind) {
        0 | 8 | 9 => 0,
        5 => 6,
        6 | 7 => 8,
        number @ 1..=4 => number,
        text => (text - 12) / 2,
    });
    lengths.sum()
}

fn words(found: &Inspection) -> String {
    let lines = found.findings.iter();
    lines
        .map(|one| format!("{} {}\n", one.what, one.lost))
        .collect()
}

#[tokio::test]
async fn what_a_kill_leaves_is_in_order() {
    let (dir, receipts) = killed().await;
    let found = inspect(dir.path()).unwrap();
    assert!(found.is_copy && !found.is_damaged(), "{}", words(&found));
    assert_eq!(found.findings.len(), 1, "{}", words(&found));
    assert_eq!(found.states, [("accepted", receipts.len() as u64)]);
    let before = fs::read(dir.path().join("journal.db")).unwrap();
    inspect(dir.path()).unwrap();
    assert_eq!(
        fs::read(dir.path().join("journal.db")).unwrap(),
        before,
        "nothing is changed"
    );
}

#[tokio::test]
async fn a_database_with_a_hole_is_named() {
    let (dir, _) = killed().await;
    // Checkpoints everything.
    opened(dir.path()).unwrap().close().await;
    let pages = fs::metadata(dir.path().join("journal.db")).unwrap().len() / 8192;
    let mut named = 0;
    for page in 1..pages {
        let at = usize::try_from(page * 8192).unwrap();
        let hole = changed(dir.path(), "journal.db", |bytes| {
            bytes[at..at + 4096].fill(0)
        });
        let found = inspect(hole.path()).unwrap();
        named += u64::from(found.is_damaged());
    }
    // An empty page may be all zeros.
    assert!(
        named * 10 >= (pages - 1) * 9,
        "{named} of {} holes were named",
        pages - 1
    );
    let no_journal = changed(dir.path(), "journal.db", |bytes| bytes[..4096].fill(7));
    let found = inspect(no_journal.path()).unwrap();
    assert!(found.is_damaged(), "{}", words(&found));
    assert!(opened(no_journal.path()).is_err());
}

#[tokio::test]
async fn a_database_that_ends_too_soon_is_named_and_refused() {
    let (dir, receipts) = killed().await;
    opened(dir.path()).unwrap().close().await;
    let length = fs::read(dir.path().join("journal.db")).unwrap().len();
    let (mut refused, mut tried) = (0, 0);
    let some = (0..length).step_by(length / 40).skip(1);
    // In the middle of the last page SQLite itself notices nothing.
    let last_page = [8191, 4096, 1].map(|bytes| length - bytes);
    for end in some.chain(last_page).chain(every_cut(length)) {
        tried += 1;
        let cut = changed(dir.path(), "journal.db", |bytes| bytes.truncate(end));
        let is_damaged = inspect(cut.path()).unwrap().is_damaged();
        let opened = opened(cut.path());
        assert_eq!(is_damaged, opened.is_err(), "after {end} bytes");
        assert!(is_damaged || end % 8192 == 0, "after {end} bytes");
        let Ok(journal) = opened else {
            refused += 1;
            continue;
        };
        // The last page was empty where it was cut.
        for id in &receipts {
            let known = journal.get(*id).await.unwrap();
            assert!(known.is_some(), "after {end} bytes {id} was forgotten");
        }
        journal.close().await;
    }
    assert!(
        refused * 10 >= tried * 9 && tried >= 39,
        "{refused} of {tried} were refused"
    );
}

#[tokio::test]
async fn a_day_of_logs_that_is_damaged_is_named() {
    let (dir, _) = killed().await;
    opened(dir.path()).unwrap().close().await;
    let day = dir.path().join("logs/2026-11-24.db");
    fs::create_dir(dir.path().join("logs")).unwrap();
    let logs = rusqlite::Connection::open(&day).unwrap();
    logs.execute_batch("CREATE TABLE lines (text); CREATE TABLE newest (at);")
        .unwrap();
    drop(logs);
    assert!(!inspect(dir.path()).unwrap().is_damaged());
    let mut bytes = fs::read(&day).unwrap();
    bytes[4096..].fill(7);
    fs::write(&day, bytes).unwrap();
    let found = inspect(dir.path()).unwrap();
    let named = found.findings.iter().find(|finding| finding.is_damage);
    let named = named.expect("it is damaged");
    assert_eq!(named.file, day);
    assert!(named.lost.contains("log lines"), "{}", words(&found));
}

#[tokio::test]
async fn which_functions_there_are_is_known_with_and_without_a_hub() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(known_functions(dir.path()).unwrap(), [], "no journal yet");
    let journal = open(dir.path());
    let both = [
        (function("f"), Execution::Async),
        (function("g"), Execution::Sync),
    ];
    journal.register_functions(&both).await.unwrap();
    let f = accept(&journal, "f", at(0)).await;
    let ended = accept(&journal, "f", at(1)).await;
    accept(&journal, "gone", at(2)).await;
    journal.start(f, at(3)).await.unwrap();
    let ending = Ending::new(End::Cancelled, at(3), "terminated");
    journal.finish(ended, ending).await.unwrap();
    let known = |name: &str, execution, waiting, running| KnownFunction {
        name: name.to_owned(),
        execution,
        waiting,
        running,
    };
    let all = [
        known("f", Some(Execution::Async), 0, 1),
        known("g", Some(Execution::Sync), 0, 0),
        known("gone", None, 1, 0),
    ];
    assert_eq!(known_functions(dir.path()).unwrap(), all, "beside a hub");
    journal.close().await;
    assert_eq!(known_functions(dir.path()).unwrap(), all);
}

#[tokio::test]
async fn a_directory_in_use_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    accept(&journal, "f", NOW).await;
    let Err(OpenError::Locked { pid, .. }) = inspect(dir.path()) else {
        panic!("a hub uses it");
    };
    assert_eq!(pid, std::process::id());
    journal.close().await;
    assert!(inspect(&dir.path().join("nowhere")).is_err());
}

#[tokio::test]
async fn a_journal_with_nothing_in_it_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let make_empty = || std::fs::write(&path, "").unwrap();
    make_empty();
    let unused = inspect(dir.path());
    assert!(
        matches!(unused, Err(OpenError::NoJournal { .. })),
        "{unused:?}"
    );
    std::fs::remove_file(&path).unwrap();
    open(dir.path()).close().await;
    std::fs::remove_file(&path).unwrap();
    let without = inspect(dir.path()).unwrap().findings;
    assert_eq!(without.len(), 1, "{without:?}");
    make_empty();
    assert_eq!(inspect(dir.path()).unwrap().findings, without);
    assert!(tripline_journal::would_open(dir.path()).is_ok());
}

#[tokio::test]
async fn what_cannot_be_judged_is_not_called_whole_or_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let empty = inspect(dir.path());
    assert!(
        matches!(empty, Err(OpenError::NoJournal { .. })),
        "{empty:?}"
    );
    open(dir.path()).close().await;
    let path = dir.path().join("journal.db");
    let set = |name: &str, value: i64| {
        let newer = rusqlite::Connection::open(&path).unwrap();
        newer.pragma_update(None, name, value).unwrap();
    };
    set("user_version", 1_000);
    let Err(error @ OpenError::Newer { found: 1_000, .. }) = inspect(dir.path()) else {
        panic!("a newer version wrote it");
    };
    assert!(error.help().is_some_and(|help| help.contains("newer")));
    set("user_version", 5);
    assert!(!inspect(dir.path()).unwrap().is_damaged());
    set("application_id", 1);
    let found = inspect(dir.path()).unwrap();
    assert!(found.is_damaged(), "a hub refuses it");

    fs::remove_file(&path).unwrap();
    let found = inspect(dir.path()).unwrap();
    assert!(
        words(&found).contains("a hub has used"),
        "{}",
        words(&found)
    );
}
