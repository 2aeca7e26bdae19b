//! The contract that every log store keeps, and what the SQLite one keeps beyond it.

#![expect(clippy::unwrap_used, reason = "in tests that is how to fail")]

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tripline_journal::{
    LogError, LogStore, MAX_READ_BYTES, MemoryLogStore, NewLine, SqliteLogStore,
};
use tripline_model::{LogStream, RequestId, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);
const DAY: Duration = Duration::from_secs(86_400);

type Store = Arc<dyn LogStore>;

async fn each<F: Future<Output = ()>>(check: impl Fn(Store) -> F) {
    check(Arc::new(MemoryLogStore::new())).await;
    let dir = tempfile::tempdir().unwrap();
    let sqlite: Store = Arc::new(SqliteLogStore::open(&dir.path().join("logs")).unwrap());
    check(sqlite.clone()).await;
    sqlite.close().await;
}

fn id(n: u8) -> RequestId {
    RequestId::new(NOW, [n; 10])
}

/// A line with the next origin.
fn line(of: RequestId, text: &str) -> NewLine {
    static ORIGIN: AtomicU64 = AtomicU64::new(1);
    NewLine {
        request_id: of,
        at: NOW,
        stream: LogStream::Stdout,
        text: Bytes::copy_from_slice(text.as_bytes()),
        complete: true,
        origin: ORIGIN.fetch_add(1, Ordering::Relaxed),
    }
}

async fn texts(store: &Store, of: RequestId, after: u64, limit: usize) -> Vec<(u64, String)> {
    store.flush().await.unwrap();
    let lines = store.read(of, after, limit).await.unwrap();
    let text = |text: &Bytes| String::from_utf8_lossy(text).into_owned();
    lines.iter().map(|l| (l.seq, text(&l.text))).collect()
}

fn numbered(texts: &[&str]) -> Vec<(u64, String)> {
    (1..)
        .zip(texts.iter().map(|text| (*text).to_owned()))
        .collect()
}

#[tokio::test]
async fn long_lines_are_read_a_few_at_a_time() {
    each(|store| async move {
        let long = "x".repeat(MAX_READ_BYTES / 2 + 1);
        let lines = (0..5).map(|_| line(id(1), &long));
        store.append(lines.collect()).await.unwrap();
        let (mut seen, mut readings) = (0, Vec::new());
        loop {
            let found = texts(&store, id(1), seen, 256).await;
            let Some((last, _)) = found.last() else { break };
            seen = *last;
            readings.push(found.len());
        }
        assert_eq!(readings, [2, 2, 1]);
    })
    .await;
}

#[tokio::test]
async fn lines_are_numbered_per_log_and_read_from_a_place() {
    each(|store| async move {
        let lines = vec![line(id(1), "a"), line(id(2), "x"), line(id(1), "b")];
        store.append(lines).await.unwrap();
        let mut odd = line(id(1), "");
        odd.text = Bytes::from_static(b"\xff\0");
        odd.stream = LogStream::Stderr;
        store.append(vec![odd.clone()]).await.unwrap();
        let all = texts(&store, id(1), 0, 9).await;
        assert_eq!(all, numbered(&["a", "b", "\u{fffd}\0"]));
        assert_eq!(texts(&store, id(2), 0, 9).await, numbered(&["x"]));
        assert_eq!(texts(&store, id(1), 1, 1).await, [(2, "b".to_owned())]);
        assert_eq!(texts(&store, id(3), 0, 9).await, []);
        let third = store.read(id(1), 2, 9).await.unwrap().remove(0);
        assert_eq!(
            (third.text, third.stream, third.at),
            (odd.text, LogStream::Stderr, NOW)
        );
    })
    .await;
}

#[tokio::test]
async fn a_follower_waits_for_news_and_misses_none() {
    each(|store| async move {
        let writer = store.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            for n in 0..500 {
                writer
                    .append(vec![line(id(1), &n.to_string())])
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
            }
        });
        let follow = async {
            let mut seen = 0;
            while seen < 500 {
                store.changed(id(1), seen).await;
                for line in store.read(id(1), seen, 7).await.unwrap() {
                    seen += 1;
                    assert_eq!(
                        (line.seq, line.text),
                        (seen, Bytes::from((seen - 1).to_string()))
                    );
                }
            }
        };
        let followed = tokio::time::timeout(Duration::from_secs(20), follow).await;
        followed.expect("all lines are seen");
        tasks.join_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_closed_store_lets_followers_go() {
    each(|store| async move {
        let follower = store.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { follower.changed(id(1), 0).await });
        store.flush().await.unwrap();
        store.close().await;
        let gone = tokio::time::timeout(Duration::from_secs(20), tasks.join_next()).await;
        assert!(gone.expect("the follower was let go").is_some());
        let answer = store.append(vec![line(id(1), "a")]).await;
        assert_eq!(answer, Err(LogError::Closed));
    })
    .await;
}

#[tokio::test]
async fn a_day_goes_when_nothing_of_it_was_written_lately() {
    each(|store| async move {
        let next_day = RequestId::new(NOW.plus(DAY), [3; 10]);
        let late = NewLine {
            at: NOW.plus(DAY),
            ..line(id(2), "late")
        };
        let lines = vec![line(id(1), "a"), late, line(next_day, "n")];
        store.append(lines).await.unwrap();
        store.flush().await.unwrap();
        assert_eq!(store.purge(NOW.plus(DAY), None).await, Ok(0));
        assert_eq!(texts(&store, id(1), 0, 9).await, numbered(&["a"]));
        let after = NOW.plus(DAY + Duration::from_secs(1));
        assert_eq!(store.purge(after, Some(id(1))).await, Ok(0), "spared");
        assert_eq!(store.purge(after, Some(next_day)).await, Ok(1));
        assert_eq!(texts(&store, id(1), 0, 9).await, []);
        assert_eq!(texts(&store, next_day, 0, 9).await, numbered(&["n"]));
    })
    .await;
}

#[tokio::test]
async fn logs_go_on_where_they_were_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["ab", "cd", "ef"] {
        let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
        store.append(vec![line(id(1), text)]).await.unwrap();
        store.close().await;
    }
    let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
    assert_eq!(
        texts(&store, id(1), 0, 9).await,
        numbered(&["ab", "cd", "ef"])
    );
    assert_eq!(store.last_seq(id(1)).await, Ok(3));
    store.close().await;
}

fn from_origin(origin: u64, text: &str) -> NewLine {
    NewLine {
        origin,
        ..line(id(1), text)
    }
}

#[tokio::test]
async fn a_line_that_comes_again_is_dropped() {
    each(|store| async move {
        assert_eq!(store.last_origin(id(1)).await, Ok(0));
        let first = vec![from_origin(3, "a"), from_origin(4, "b")];
        store.append(first.clone()).await.unwrap();
        store.append(first).await.unwrap();
        let more = vec![
            from_origin(4, "b"),
            from_origin(5, "c"),
            from_origin(5, "c"),
        ];
        store.append(more).await.unwrap();
        assert_eq!(store.last_origin(id(1)).await, Ok(5));
        assert_eq!(store.last_origin(id(2)).await, Ok(0));
        let kept = numbered(&["a", "b", "c"]);
        assert_eq!(texts(&store, id(1), 0, 9).await, kept);
    })
    .await;
}

#[tokio::test]
async fn whether_a_line_goes_on_is_kept() {
    each(|store| async move {
        let part = NewLine {
            complete: false,
            ..line(id(1), "a pa")
        };
        let rest = line(id(1), "rt of it");
        store.append(vec![part, rest]).await.unwrap();
        store.flush().await.unwrap();
        let lines = store.read(id(1), 0, 9).await.unwrap();
        let complete: Vec<_> = lines.iter().map(|line| line.complete).collect();
        assert_eq!(complete, [false, true]);
    })
    .await;
}

#[tokio::test]
async fn a_line_that_comes_again_is_dropped_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
        let lines = vec![from_origin(1, "a"), from_origin(2, "b")];
        store.append(lines).await.unwrap();
        assert_eq!(store.last_origin(id(1)).await, Ok(2));
        assert_eq!(texts(&store, id(1), 0, 9).await, numbered(&["a", "b"]));
        store.close().await;
    }
}

/// Makes a day's file one of an earlier version.
fn take_back(dir: &Path, sql: &str) {
    let file = rusqlite::Connection::open(dir.join("2026-11-24.db")).unwrap();
    file.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_day_of_the_first_version_is_read_and_goes_on() {
    for write_first in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
        store.append(vec![from_origin(1, "old")]).await.unwrap();
        store.close().await;
        take_back(
            dir.path(),
            "ALTER TABLE lines DROP COLUMN complete; ALTER TABLE lines DROP COLUMN origin;
             PRAGMA user_version = 1;",
        );
        let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
        if !write_first {
            assert_eq!(store.last_origin(id(1)).await, Ok(0));
        }
        store.append(vec![from_origin(7, "new")]).await.unwrap();
        store.flush().await.unwrap();
        assert_eq!(texts(&store, id(1), 0, 9).await, numbered(&["old", "new"]));
        assert_eq!(store.last_origin(id(1)).await, Ok(7));
        let lines = store.read(id(1), 0, 9).await.unwrap();
        assert!(lines.iter().all(|line| line.complete));
        store.close().await;
    }
}

#[tokio::test]
async fn lines_about_the_run_itself_go_with_the_third_version() {
    let dir = tempfile::tempdir().unwrap();
    let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
    let of = |origin: u64, stream, text: &str| NewLine {
        stream,
        ..from_origin(origin, text)
    };
    let whole = [
        (LogStream::System, "START RequestId:x"),
        (LogStream::System, "[log cut: it reached its limit]"),
        (LogStream::Stdout, "END RequestId:x"),
        (LogStream::Stdout, "b"),
        (LogStream::System, "ERROR RequestId:x Result:exit_code"),
        (LogStream::System, "END RequestId:x"),
        (LogStream::System, "Report RequestId:x Code:439"),
    ];
    let lines = (1..)
        .zip(whole)
        .map(|(n, (stream, text))| of(n, stream, text));
    store.append(lines.collect()).await.unwrap();
    let other = NewLine {
        request_id: id(2),
        ..of(1, LogStream::System, "failed: there is no executor")
    };
    store.append(vec![other]).await.unwrap();
    store.close().await;
    take_back(dir.path(), "PRAGMA user_version = 2;");
    let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
    let kept = ["[log cut: it reached its limit]", "END RequestId:x", "b"];
    assert_eq!(texts(&store, id(1), 0, 9).await, numbered(&kept));
    let kept = ["failed: there is no executor"];
    assert_eq!(texts(&store, id(2), 0, 9).await, numbered(&kept));
    store.append(vec![from_origin(8, "c")]).await.unwrap();
    assert_eq!(texts(&store, id(1), 3, 9).await, [(4, "c".to_owned())]);
    store.close().await;
}

#[tokio::test]
async fn lost_lines_are_counted_once_writing_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let store: Store = Arc::new(SqliteLogStore::open(dir.path()).unwrap());
    store.append(vec![line(id(1), "before")]).await.unwrap();
    store.flush().await.unwrap();
    let file = std::fs::read_dir(dir.path()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "db").then_some(path)
    });
    let other = rusqlite::Connection::open(file.unwrap()).unwrap();
    // Renamed while the writer uses it, and back.
    other
        .execute_batch("ALTER TABLE lines RENAME TO away")
        .unwrap();
    store
        .append(vec![line(id(1), "lost"), line(id(1), "lost")])
        .await
        .unwrap();
    store.flush().await.unwrap();
    other
        .execute_batch("ALTER TABLE away RENAME TO lines")
        .unwrap();
    store.append(vec![line(id(1), "after")]).await.unwrap();
    let lost = "[2 log lines lost: they could not be written]";
    assert_eq!(
        texts(&store, id(1), 0, 9).await,
        numbered(&["before", lost, "after"])
    );
    store.close().await;
}

#[tokio::test]
async fn a_day_that_cannot_be_read_keeps_no_other_and_goes_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let long_ago = |days| RequestId::new(NOW.minus(DAY * days), [0; 10]);
    let store = SqliteLogStore::open(dir.path()).unwrap();
    for days in 10..20 {
        let old = NewLine {
            at: NOW.minus(DAY * days),
            ..line(long_ago(days), "old")
        };
        store.append(vec![old]).await.unwrap();
    }
    store.close().await;
    let mut files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    let damaged = files.swap_remove(4).unwrap().path();
    std::fs::write(&damaged, "no database").unwrap();
    let store = SqliteLogStore::open(dir.path()).unwrap();
    // It was just written.
    assert_eq!(store.purge(NOW.minus(DAY), None).await, Ok(9));
    assert!(damaged.exists());
    let file = std::fs::File::options().write(true).open(&damaged).unwrap();
    let old =
        std::time::UNIX_EPOCH + Duration::from_millis(NOW.as_millis().unsigned_abs()) - DAY * 2;
    file.set_modified(old).unwrap();
    assert_eq!(store.purge(NOW.minus(DAY), None).await, Ok(1));
    assert!(!damaged.exists());
    store.close().await;
}

#[tokio::test]
async fn a_day_that_cannot_be_removed_keeps_no_other_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteLogStore::open(dir.path()).unwrap();
    store.append(vec![line(id(1), "old")]).await.unwrap();
    store.flush().await.unwrap();
    let stuck = dir.path().join("2020-02-02.db");
    std::fs::create_dir(&stuck).unwrap();
    let error = store.purge(NOW.plus(DAY * 400), None).await.unwrap_err();
    assert!(
        error.to_string().contains(stuck.to_str().unwrap()),
        "{error}"
    );
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    store.close().await;
}
