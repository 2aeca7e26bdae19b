//! Logs that were cut and changed, with and without the index that says how long they were.

use super::*;

const FRAME: usize = 24 + 8192;

/// As what [`killed`] answers, after a power cut that left nothing of the index.
async fn without_index() -> (TempDir, Vec<RequestId>) {
    let (dir, receipts) = killed().await;
    fs::remove_file(dir.path().join("journal.db-shm")).unwrap();
    (dir, receipts)
}

fn log_of(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("journal.db-wal")).unwrap()
}

/// Places to cut a log at: each end of a frame and what is around it, and some more.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let around = |end: usize| end.saturating_sub(1)..=end + 1;
    let ends = (32..=length).step_by(FRAME).flat_map(around);
    let more = (0..40).chain((0..length).step_by(4099));
    ends.chain(more).filter(move |end| *end < length)
}

#[tokio::test]
async fn a_changed_bit_in_the_log_is_refused_or_costs_the_last_transaction_at_most() {
    let (dir, receipts) = without_index().await;
    let length = log_of(dir.path()).len();
    let (mut refused, mut taken) = (0, 0);
    for at in (32..length).step_by(length / 300) {
        let changed = changed(dir.path(), "journal.db-wal", |bytes| {
            bytes[at] ^= 1 << (at % 8)
        });
        let is_damaged = inspect(changed.path()).unwrap().is_damaged();
        match opened(changed.path()) {
            Err(OpenError::Damaged { .. }) => {
                assert!(is_damaged, "byte {at}: the check says nothing");
                refused += 1;
            }
            Err(other) => panic!("byte {at}: {other}"),
            Ok(journal) => {
                for id in &receipts[..receipts.len() - 1] {
                    let known = journal.get(*id).await.unwrap();
                    assert!(known.is_some(), "byte {at}: {id} was forgotten");
                }
                journal.close().await;
                taken += 1;
            }
        }
    }
    assert!(
        refused > 200 && taken > 0,
        "{refused} refused, {taken} taken"
    );
}

#[tokio::test]
async fn a_log_that_ends_anywhere_is_taken_up_to_there_where_nothing_says_how_long_it_was() {
    let (dir, receipts) = without_index().await;
    let length = log_of(dir.path()).len();
    let mut known_before = 0;
    for end in (0..length).step_by(length / 60) {
        let cut = changed(dir.path(), "journal.db-wal", |bytes| bytes.truncate(end));
        let Ok(journal) = opened(cut.path()) else {
            panic!("cut after {end} bytes");
        };
        let mut known = Vec::new();
        for id in &receipts {
            known.push(journal.get(*id).await.unwrap().is_some());
        }
        let count = known.iter().filter(|known| **known).count();
        assert!(
            known[..count].iter().all(|known| *known),
            "a hole: {known:?}"
        );
        assert!(count >= known_before, "cut after {end} bytes");
        known_before = count;
        journal.close().await;
    }
    assert!(known_before >= receipts.len() - 2, "{known_before}");
}

/// The change is in the file `name` of a directory of which the index is left.
fn is_refused(dir: &Path, what: &str) {
    for _again in 0..2 {
        let found = inspect(dir).unwrap();
        let said = words(&found);
        assert!(found.is_damaged(), "{what}: the check says nothing: {said}");
        let named = found.findings.iter().find(|one| one.is_damage).unwrap();
        assert_eq!(named.file, dir.join("journal.db-wal"), "{what}");
        assert!(named.lost.contains("transaction"), "{what}: {said}");
        let would = would_open(dir);
        assert!(matches!(would, Err(OpenError::Damaged { .. })), "{what}");
        let asked = known_functions(dir);
        assert!(asked.is_ok(), "{what}: {asked:?}");
        let Err(refused @ OpenError::Damaged { .. }) = opened(dir) else {
            panic!("{what}: a hub uses it");
        };
        let refused = refused.to_string();
        assert!(
            refused.contains(&named.lost) && refused.contains(&*named.mend),
            "{what}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_log_that_ends_too_soon_is_refused_wherever_it_ends() {
    let (dir, _) = killed().await;
    assert!(!inspect(dir.path()).unwrap().is_damaged(), "as it is");
    let log = log_of(dir.path());
    for end in cuts(log.len()) {
        // In the same file, whose index stays.
        fs::write(dir.path().join("journal.db-wal"), &log[..end]).unwrap();
        is_refused(
            dir.path(),
            &format!("cut after {end} of {} bytes", log.len()),
        );
    }
    fs::remove_file(dir.path().join("journal.db-wal")).unwrap();
    is_refused(dir.path(), "removed");
    fs::write(dir.path().join("journal.db-wal"), &log).unwrap();
    opened(dir.path()).unwrap().close().await;
}

#[tokio::test]
async fn a_changed_bit_anywhere_in_the_log_is_refused_where_its_index_is_left() {
    let (dir, _) = killed().await;
    let log = log_of(dir.path());
    let header = (0..32).map(|byte| byte * 8);
    for bit in header.chain((0..log.len() * 8).step_by(log.len() / 20 + 7)) {
        let mut changed = log.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(dir.path().join("journal.db-wal"), changed).unwrap();
        is_refused(dir.path(), &format!("bit {bit}"));
    }
}

#[tokio::test]
async fn a_log_that_was_moved_may_go() {
    let (dir, receipts) = killed().await;
    let mover = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    mover
        .set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            true,
        )
        .unwrap();
    mover
        .query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))
        .unwrap();
    drop(mover);
    let log = dir.path().join("journal.db-wal");
    let length = log_of(dir.path()).len();
    fs::File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(length as u64 / 2)
        .unwrap();
    // SQLite would take the pages of the log for newer than those of the file.
    let found = inspect(dir.path()).unwrap();
    let named = found.findings.iter().find(|one| one.is_damage);
    let mend = named.map(|one| one.mend.to_string());
    assert_eq!(
        mend,
        Some(format!("with the hub stopped, `rm {}`", log.display()))
    );
    fs::remove_file(&log).unwrap();
    assert!(!inspect(dir.path()).unwrap().is_damaged());
    let journal = opened(dir.path()).unwrap();
    for id in receipts {
        assert!(
            journal.get(id).await.unwrap().is_some(),
            "{id} was forgotten"
        );
    }
    journal.close().await;
}

/// After a power cut the index may be of any moment of the last life.
#[tokio::test]
async fn an_index_of_an_earlier_moment_makes_nobody_cry() {
    let (dir, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let index = dir.path().join("journal.db-shm");
    open(dir.path()).close().await;
    for life in 0..3 {
        // With a log so short that it is moved and begun anew again and again.
        let journal = open(dir.path());
        let mut indices = vec![fs::read(&index).unwrap()];
        let mut logs = std::collections::HashSet::new();
        for second in 0..40 {
            accept(&journal, "f", at(life * 100 + second)).await;
            logs.insert(log_of(dir.path())[16..24].to_vec());
            indices.push(fs::read(&index).unwrap());
        }
        assert!(logs.len() > 1, "the log was never begun anew");
        copy(dir.path(), copied.path());
        let judge = |when: &str| {
            for (at, old) in indices.iter().enumerate() {
                fs::write(copied.path().join("journal.db-shm"), old).unwrap();
                let found = inspect(copied.path()).unwrap();
                assert!(
                    !found.is_damaged(),
                    "life {life}, {when}, {at}: {}",
                    words(&found)
                );
            }
        };
        judge("killed");
        journal.close().await;
        copy(dir.path(), copied.path());
        assert_eq!(log_of(copied.path()).len(), 0, "it is cut");
        judge("stopped");
    }
}

#[tokio::test]
async fn an_index_that_is_not_whole_says_nothing() {
    let (dir, _) = killed().await;
    let index = dir.path().join("journal.db-shm");
    let whole = fs::read(&index).unwrap();
    fs::write(dir.path().join("journal.db-wal"), []).unwrap();
    let is_damaged = |index_is: &[u8]| {
        fs::write(&index, index_is).unwrap();
        inspect(dir.path()).unwrap().is_damaged()
    };
    assert!(is_damaged(&whole));
    for length in [0, 3, 48, 95] {
        assert!(!is_damaged(&whole[..length]), "{length} bytes");
    }
    for at in (0..96).step_by(5) {
        let mut changed = whole.clone();
        changed[at] ^= 4;
        assert!(!is_damaged(&changed), "byte {at}");
    }
    assert!(!is_damaged(&vec![0; whole.len()]));
}
