//! WALs that SQLite wrote itself, truncated and changed.

use rusqlite::Connection;

use super::*;

/// Ten transactions of some pages each, and where each ends.
fn wal() -> (Vec<u8>, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .unwrap();
    connection.execute_batch("CREATE TABLE t (a BLOB)").unwrap();
    let read = || std::fs::read(dir.path().join("x.db-wal")).unwrap();
    let mut ends = vec![read().len()];
    for _ in 0..9 {
        let insert = "INSERT INTO t VALUES (randomblob(9000)), (randomblob(100))";
        connection.execute_batch(insert).unwrap();
        ends.push(read().len());
    }
    (read(), ends)
}

fn of(bytes: &[u8]) -> Tail {
    Wal::read(bytes).unwrap().tail
}

#[test]
fn a_wal_of_sqlite_is_whole() {
    let (bytes, ends) = wal();
    assert_eq!(of(&bytes), Tail::Whole);
    assert_eq!(of(&[]), Tail::Whole);
    for end in ends {
        assert_eq!(of(&bytes[..end]), Tail::Whole);
    }
}

#[test]
fn a_wal_that_ends_anywhere_is_whole_or_torn() {
    let (bytes, _) = wal();
    for end in (0..bytes.len()).step_by(61) {
        assert!(
            !matches!(of(&bytes[..end]), Tail::Damaged { .. }),
            "cut after {end} bytes"
        );
    }
}

#[test]
fn a_change_in_a_transaction_that_is_not_the_last_is_damage() {
    let (bytes, ends) = wal();
    let last = ends[ends.len() - 2];
    for at in (HEADER_BYTES..last).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(
            matches!(of(&changed), Tail::Damaged { .. }),
            "byte {at} of {last}"
        );
    }
}

#[test]
fn a_change_in_the_last_transaction_looks_as_if_it_was_never_finished() {
    let (bytes, ends) = wal();
    let mut changed = bytes.clone();
    let at = ends[ends.len() - 2];
    changed[at + 500] ^= 1;
    assert_eq!(of(&changed), Tail::Torn { at: at as u64 });
}

#[test]
fn frames_from_before_a_restart_of_the_wal_are_ignored() {
    let (mut bytes, ends) = wal();
    let (other, _) = wal();
    let keep = ends[3];
    bytes.truncate(keep);
    bytes.extend(&other[keep..]);
    assert_eq!(of(&bytes), Tail::Whole);
}
