//! A disk that is really full: a small tmpfs, which only root can mount.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tripline_journal::{
    Accepted, Health, Journal, JournalError, JournalOptions, LogStore, NewInvocation, NewLine,
    Retention, SqliteJournal, SqliteLogStore,
};
use tripline_model::{End, Ending, Identity, InvocationState, LogStream, Timestamp};
use tripline_skipped::skipped;

use crate::support::*;

struct SmallDisk {
    at: PathBuf,
    _dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m,mode=700", "tmpfs"])
            .arg(&at)
            .output();
        let mounted = mount.is_ok_and(|done| done.status.success());
        mounted.then_some(Self { at, _dir: dir })
    }

    fn enlarge(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,size=40m"]).arg(&self.at);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(done.is_ok_and(|status| status.success()));
    }
}

fn large() -> NewInvocation {
    let mut new = new_at(at(0), offer("f", Identity::Unique));
    Arc::make_mut(&mut new.offer).event.data = Some(Bytes::from(vec![b'x'; 60_000]));
    new
}

/// Fills the disk and answers the event that was refused.
async fn fill(journal: &dyn Journal) -> NewInvocation {
    for _ in 0..1000 {
        let new = large();
        match journal.accept(vec![new.clone()]).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, JournalError::Full);
                return new;
            }
        }
    }
    panic!("the disk never got full");
}

async fn accept_when_there_is_room(journal: &dyn Journal) {
    let wait = async {
        while journal.accept(vec![large()]).await == Err(JournalError::Full) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.expect("events are taken when there is room again");
}

#[tokio::test]
async fn a_full_disk_refuses_events_and_records_ends() {
    let Some(disk) = SmallDisk::mount() else {
        return skipped("a full disk", "a tmpfs cannot be mounted here");
    };
    let data = disk.at.join("data");
    let ballast = disk.at.join("ballast");
    std::fs::write(&ballast, vec![1; 5 << 20]).unwrap();
    let journal = open(&data);
    let mut running = Vec::new();
    for _ in 0..40 {
        let id = accept(&journal, "f", at(0)).await;
        journal.start(id, at(1)).await.unwrap();
        running.push(id);
    }
    let refused = fill(&journal).await;
    assert_eq!(journal.health(), Health::Full);
    assert!(!reserve_is_there(&data), "the reserve was not used");
    assert_eq!(Journal::get(&journal, refused.request_id).await, Ok(None));

    for id in &running {
        let mut ending = Ending::new(End::Succeeded, at(2), "exit_code");
        ending.result = Some(Bytes::from(vec![b'r'; 200_000]));
        journal.finish(*id, ending).await.unwrap();
        let read = Journal::get(&journal, *id).await.unwrap().unwrap();
        let ending = read.ending.unwrap();
        assert_eq!(read.state, InvocationState::Ended(End::Succeeded));
        assert!(
            ending.result.is_none() && ending.result_cut,
            "no room for results"
        );
    }
    assert_eq!(journal.accept(vec![large()]).await, Err(JournalError::Full));

    std::fs::remove_file(&ballast).unwrap();
    accept_when_there_is_room(&journal).await;
    assert_eq!(journal.health(), Health::Ok);
    assert!(reserve_is_there(&data));
    journal.close().await;
}

#[tokio::test]
async fn a_start_on_a_full_disk_still_ends_what_ran() {
    let Some(disk) = SmallDisk::mount() else {
        return skipped("a start on a full disk", "a tmpfs cannot be mounted here");
    };
    let padding = disk.at.join("padding");
    std::fs::write(&padding, vec![1; 2 << 20]).unwrap();
    let journal = open(&disk.at);
    let running = accept(&journal, "f", at(0)).await;
    journal.start(running, at(1)).await.unwrap();
    fill(&journal).await;
    journal.close().await;
    std::fs::remove_file(&padding).unwrap();
    // Takes all room that is left, except for one small transaction.
    let mut ballast = std::fs::File::create(disk.at.join("ballast")).unwrap();
    while ballast.write_all(&[1; 4096]).is_ok() {}
    ballast
        .set_len(ballast.metadata().unwrap().len() - (400 << 10))
        .unwrap();

    let journal = open(&disk.at);
    assert_eq!(journal.health(), Health::Full);
    let lost = journal
        .lose_running(at(2), "hub_restarted", &Arc::default(), 10)
        .await;
    assert_eq!(lost, Ok(vec![running]));
    let new = large();
    let id = new.request_id;
    let answer = journal.accept(vec![new]).await;
    assert!(answer == Err(JournalError::Full) || answer == Ok(vec![Accepted::New(id)]));
    journal.close().await;
}

/// Fills the disk with results, and nothing else.
async fn fill_with_results(journal: &dyn Journal, ended: Timestamp) {
    for _ in 0..1000 {
        let new = new_at(at(0), offer("f", Identity::Unique));
        let id = new.request_id;
        if let Err(error) = journal.accept(vec![new]).await {
            assert_eq!(error, JournalError::Full);
            return;
        }
        journal.start(id, at(1)).await.unwrap();
        let mut ending = Ending::new(End::Succeeded, ended, "exit_code");
        ending.result = Some(Bytes::from(vec![b'r'; 60_000]));
        journal.finish(id, ending).await.unwrap();
    }
    panic!("the disk never got full");
}

#[tokio::test]
async fn a_journal_that_filled_its_disk_goes_on_in_its_own_free_pages() {
    let Some(disk) = SmallDisk::mount() else {
        return skipped("a full journal", "a tmpfs cannot be mounted here");
    };
    let mut journal = open(&disk.at);
    let keep = |keep| Retention {
        keep_ended: Duration::from_secs(keep),
        keep_at_least: Duration::ZERO,
        max_bytes: u64::MAX,
        keep_removed: Duration::MAX,
    };
    // More than once, to see that no room is lost each time.
    for round in 1..5 {
        fill_with_results(&journal, at(round * 100)).await;
        assert_eq!(journal.health(), Health::Full);
        let length = || std::fs::metadata(disk.at.join("journal.db")).unwrap().len();
        let full = length();
        assert!(full > 8 << 20, "{full} bytes are not all there is");
        let none = journal
            .purge(&keep(50), at(round * 100 + 50))
            .await
            .unwrap();
        assert_eq!((none.invocations, journal.health()), (0, Health::Full));

        journal
            .purge(&keep(50), at(round * 100 + 51))
            .await
            .unwrap();
        accept_when_there_is_room(&journal).await;
        assert_eq!(journal.health(), Health::Ok);
        assert!(reserve_is_there(&disk.at));
        assert_eq!(length(), full, "it found room in the file");
        if round % 2 == 0 {
            journal.close().await;
            journal = open(&disk.at);
            assert_eq!(journal.health(), Health::Ok, "a start finds the same room");
        }
        while !journal
            .cancel_all(&function("f"), at(round * 100 + 100), "test", 100)
            .await
            .unwrap()
            .is_empty()
        {}
    }
    let free = journal.purge(&keep(0), at(10_000)).await.unwrap();
    assert!(free.invocations > 0);
    fill_with_results(&journal, at(10_000)).await;
    journal.purge(&keep(0), at(20_000)).await.unwrap();
    accept_when_there_is_room(&journal).await;
    disk.enlarge();
    // Far more than fits into the free pages of the file, and none is refused.
    for n in 0..200 {
        let accepted = journal.accept(vec![large()]).await;
        assert!(accepted.is_ok(), "{n}: {accepted:?}");
    }
    journal.close().await;
}

#[tokio::test]
async fn in_free_pages_a_result_larger_than_the_disk_is_left_out_and_the_event_beside_it_refused() {
    let Some(disk) = SmallDisk::mount() else {
        return skipped("a full journal", "a tmpfs cannot be mounted here");
    };
    // Without threads, calls at the same time are one transaction.
    let options = JournalOptions {
        reserve_bytes: 1 << 20,
        ..JournalOptions::default()
    };
    let (journal, writer) = SqliteJournal::open_inline(&disk.at, options, clock()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(writer);
    let running = accept(&journal, "f", at(0)).await;
    journal.start(running, at(1)).await.unwrap();
    fill_with_results(&journal, at(2)).await;
    let retention = Retention {
        keep_ended: Duration::ZERO,
        keep_at_least: Duration::ZERO,
        max_bytes: u64::MAX,
        keep_removed: Duration::MAX,
    };
    journal.purge(&retention, at(1000)).await.unwrap();
    accept_when_there_is_room(&journal).await;
    let reserve = std::fs::metadata(disk.at.join("reserve")).unwrap().len();
    assert_eq!(reserve, 256 << 10, "it goes on in free pages");

    let mut ending = Ending::new(End::Succeeded, at(2), "exit_code");
    ending.result = Some(Bytes::from(vec![b'r'; 4 << 20]));
    let (accepted, ended) = tokio::join!(
        journal.accept(vec![large()]),
        journal.finish(running, ending)
    );
    assert_eq!((accepted, ended), (Err(JournalError::Full), Ok(())));
    let read = Journal::get(&journal, running).await.unwrap().unwrap();
    let ending = read.ending.unwrap();
    assert!(ending.result.is_none() && ending.result_cut, "no room");
    accept_when_there_is_room(&journal).await;
    journal.close().await;
    tasks.join_all().await;
}

#[tokio::test]
async fn old_logs_are_removed_from_a_disk_without_a_free_byte() {
    let Some(disk) = SmallDisk::mount() else {
        return skipped("logs on a full disk", "a tmpfs cannot be mounted here");
    };
    let logs = disk.at.join("logs");
    let store = SqliteLogStore::open(&logs).unwrap();
    store
        .append(vec![NewLine {
            request_id: id_at(at(0)),
            at: at(0),
            stream: LogStream::Stdout,
            text: Bytes::from_static(b"old"),
            complete: true,
            origin: 1,
        }])
        .await
        .unwrap();
    store.close().await;
    let mut ballast = std::fs::File::create(disk.at.join("ballast")).unwrap();
    while ballast.write_all(&[1; 4096]).is_ok() {}
    let store = SqliteLogStore::open(&logs).unwrap();
    assert_eq!(store.purge(at(3 * 86_400), None).await, Ok(1));
    assert_eq!(std::fs::read_dir(&logs).unwrap().count(), 0);
    store.close().await;
}

fn reserve_is_there(data: &Path) -> bool {
    data.join("reserve").exists()
}
