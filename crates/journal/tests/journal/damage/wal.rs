//! Write-ahead logs (WALs) that were truncated or changed, with and without the index that says how long they were.

use tripline_model::Identity;

use super::*;

const FRAME: usize = 24 + 8192;

/// Like [`killed`], but after a power cut that left no index.
async fn without_index() -> (TempDir, Vec<RequestId>) {
    let (dir, receipts) = killed().await;
    fs::remove_file(dir.path().join("journal.db-shm")).unwrap();
    (dir, receipts)
}

fn wal_of(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("journal.db-wal")).unwrap()
}

/// Lengths to truncate a WAL to: at and next to each end of a frame, and some more; in full, also every one near its end.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let around = |end: usize| end.saturating_sub(1)..=end + 1;
    let ends = (32..=length).step_by(FRAME).flat_map(around);
    let more = (0..40).chain((0..length).step_by(4099));
    let all = ends.chain(more).chain(every_cut(length));
    all.filter(move |end| *end < length)
}

#[tokio::test]
async fn a_changed_bit_in_the_wal_is_refused_or_costs_the_last_transaction_at_most() {
    let (dir, receipts) = without_index().await;
    let length = wal_of(dir.path()).len();
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

/// What the check says of a WAL whose end nothing knows; `None` if it says nothing.
fn said_unproven(dir: &Path) -> Option<String> {
    let found = inspect(dir).unwrap();
    assert!(!found.is_damaged(), "{}", words(&found));
    let unproven = |what: &str| what.contains("cannot be shown to be all there");
    let said = found.findings.into_iter().find(|one| unproven(&one.what));
    said.map(|one| one.what)
}

#[tokio::test]
async fn a_truncated_wal_without_its_index_is_read_up_to_its_end() {
    let (dir, receipts) = without_index().await;
    let length = wal_of(dir.path()).len();
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
        assert_eq!(said_unproven(cut.path()), None, "a start puts it right");
    }
    assert!(known_before >= receipts.len() - 2, "{known_before}");
}

#[tokio::test]
async fn of_a_wal_without_its_index_it_is_said_that_more_may_have_been_there_wherever_it_ends() {
    let (dir, _) = without_index().await;
    let wal = wal_of(dir.path());
    let said_after = |end: usize| {
        let _there_is_none = fs::remove_file(dir.path().join("journal.db-shm"));
        fs::write(dir.path().join("journal.db-wal"), &wal[..end]).unwrap();
        said_unproven(dir.path())
    };
    // A WAL with nothing in it is what each clean stop leaves.
    assert_eq!(said_after(0), None);
    let mut ends_before = 0;
    for end in cuts(wal.len()).filter(|end| *end > 0).chain([wal.len()]) {
        let ends = ends_within(&wal[..end]);
        let expected = format!("after transaction {ends} of");
        let first = said_after(end);
        // Looking at it did not make the index that was wanted.
        for said in [first, said_unproven(dir.path())] {
            let said = said.unwrap_or_default();
            assert!(
                said.contains(&expected),
                "cut after {end}: {said:?}, {ends}"
            );
        }
        ends_before = ends_before.max(ends);
    }
    assert!(ends_before >= 20, "{ends_before} transactions");
}

/// How many transactions end within a WAL that is whole as far as it goes.
fn ends_within(wal: &[u8]) -> usize {
    let frames = wal.get(32..).unwrap_or_default().chunks_exact(FRAME);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_transaction_is_told_from_one_at_its_end() {
    let (dir, _) = killed().await;
    let wal = wal_of(dir.path());
    fs::remove_file(dir.path().join("journal.db-shm")).unwrap();
    for end in cuts(wal.len()).filter(|end| *end > 0) {
        fs::write(dir.path().join("journal.db-wal"), &wal[..end]).unwrap();
        let said = words(&inspect(dir.path()).unwrap());
        let begins = (32..=end)
            .step_by(FRAME)
            .filter(|at| *at == 32 || wal[at - FRAME + 4..at - FRAME + 8] != [0; 4]);
        let at = begins.last().unwrap_or(0);
        let is_torn = format!("which began after {at} bytes");
        assert_eq!(
            said.contains(&is_torn),
            at != end,
            "cut after {end}: {said}"
        );
        assert_eq!(said.contains("in the middle"), at != end, "{end}: {said}");
    }
}

#[tokio::test]
async fn nothing_is_said_of_a_wal_that_was_checkpointed_or_whose_index_is_one_behind() {
    let dir = tempfile::tempdir().unwrap();
    let journal = opened(dir.path()).unwrap();
    let (killed, index) = (tempfile::tempdir().unwrap(), "journal.db-shm");
    let mut indices = Vec::new();
    for second in 0..5 {
        indices.push(fs::read(dir.path().join(index)).unwrap());
        accept(&journal, "f", at(second)).await;
        copy(dir.path(), killed.path());
        assert_eq!(said_unproven(killed.path()), None, "as it is");
        for (behind, old) in indices.iter().rev().enumerate() {
            fs::write(killed.path().join(index), old).unwrap();
            let said = said_unproven(killed.path());
            assert_eq!(said.is_some(), behind > 0, "{behind} more: {said:?}");
        }
    }
    journal.close().await;
    fs::remove_file(dir.path().join(index)).unwrap();
    assert_eq!(said_unproven(dir.path()), None, "it was stopped");
    // Killed between the note of its checkpoint and its truncation.
    let noted = u32::from_be_bytes(wal_of(killed.path())[16..20].try_into().unwrap());
    let frames = (wal_of(killed.path()).len() - 32) / FRAME;
    fs::remove_file(killed.path().join(index)).unwrap();
    fs::write(
        killed.path().join("moved"),
        format!("{noted:010} {frames:010}\n"),
    )
    .unwrap();
    assert_eq!(said_unproven(killed.path()), None, "it is in the database");
    fs::write(
        killed.path().join("moved"),
        format!("{noted:010} {:010}\n", frames - 1),
    )
    .unwrap();
    assert!(said_unproven(killed.path()).is_some());
}

/// Checks that everybody refuses a WAL that was changed while its index was not.
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
async fn a_wal_shorter_than_its_index_says_is_refused_wherever_it_ends() {
    let (dir, _) = killed().await;
    assert!(!inspect(dir.path()).unwrap().is_damaged(), "as it is");
    let wal = wal_of(dir.path());
    for end in cuts(wal.len()) {
        // Over the same file, so that the index still applies.
        fs::write(dir.path().join("journal.db-wal"), &wal[..end]).unwrap();
        is_refused(
            dir.path(),
            &format!("cut after {end} of {} bytes", wal.len()),
        );
    }
    fs::remove_file(dir.path().join("journal.db-wal")).unwrap();
    is_refused(dir.path(), "removed");
    fs::write(dir.path().join("journal.db-wal"), &wal).unwrap();
    opened(dir.path()).unwrap().close().await;
}

#[tokio::test]
async fn a_changed_bit_anywhere_in_a_wal_with_its_index_is_refused() {
    let (dir, _) = killed().await;
    let wal = wal_of(dir.path());
    let header = (0..32).map(|byte| byte * 8);
    for bit in header.chain((0..wal.len() * 8).step_by(wal.len() / 20 + 7)) {
        let mut changed = wal.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(dir.path().join("journal.db-wal"), changed).unwrap();
        is_refused(dir.path(), &format!("bit {bit}"));
    }
}

#[tokio::test]
async fn a_damaged_wal_that_was_checkpointed_may_be_removed() {
    let (dir, receipts) = killed().await;
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    connection
        .set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            true,
        )
        .unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let wal = dir.path().join("journal.db-wal");
    let length = wal_of(dir.path()).len();
    fs::File::options()
        .write(true)
        .open(&wal)
        .unwrap()
        .set_len(length as u64 / 2)
        .unwrap();
    // SQLite would take the pages in the WAL for newer than those in the database.
    let found = inspect(dir.path()).unwrap();
    let named = found.findings.iter().find(|one| one.is_damage);
    let mend = named.map(|one| one.mend.to_string());
    assert_eq!(
        mend,
        Some(format!("with the hub stopped, `rm {}`", wal.display()))
    );
    fs::remove_file(&wal).unwrap();
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

/// After a power cut the index may be from any moment since the hub's last start.
#[tokio::test]
async fn an_index_from_an_earlier_moment_is_no_damage() {
    let (dir, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let index = dir.path().join("journal.db-shm");
    open(dir.path()).close().await;
    for life in 0..3 {
        // The reserve is so small that the WAL is checkpointed and restarted again and again.
        let journal = open(dir.path());
        let mut indices = vec![fs::read(&index).unwrap()];
        let mut wals = std::collections::HashSet::new();
        for second in 0..40 {
            accept(&journal, "f", at(life * 100 + second)).await;
            wals.insert(wal_of(dir.path())[16..24].to_vec());
            indices.push(fs::read(&index).unwrap());
        }
        assert!(wals.len() > 1, "the WAL was never restarted");
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
        assert_eq!(wal_of(copied.path()).len(), 0, "it is truncated");
        judge("stopped");
    }
}

/// The hub truncates a large WAL by itself, and may be stopped before anything comes after it.
#[tokio::test]
async fn the_note_of_a_checkpoint_stays_when_there_is_nothing_more_to_note() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().await;
    let journal = open(dir.path());
    accept(&journal, "f", at(1)).await;
    let index = fs::read(dir.path().join("journal.db-shm")).unwrap();
    // More than half of the reserve.
    let mut large = offer("f", Identity::Unique);
    large.event.data = Some(vec![7; 700_000].into());
    journal.accept(vec![new_at(at(1), large)]).await.unwrap();
    journal.close().await;
    let noted = fs::read(dir.path().join("moved")).unwrap();
    assert_ne!(noted, b"0000000000 0000000000\n");
    // Stopped, with the index of an earlier moment, as a power cut may leave it.
    fs::write(dir.path().join("journal.db-shm"), &index).unwrap();
    assert!(!inspect(dir.path()).unwrap().is_damaged());
    // The next life has WALs of the same numbers, and loses one that was not noted.
    let journal = opened(dir.path()).unwrap();
    accept(&journal, "f", at(2)).await;
    let killed = tempfile::tempdir().unwrap();
    copy(dir.path(), killed.path());
    journal.close().await;
    fs::write(killed.path().join("journal.db-wal"), []).unwrap();
    is_refused(killed.path(), "a lost WAL");
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
