//! Events that the disk changed while they waited: they are never run, and nothing waits behind them.

use tripline_journal::NewInvocation;
use tripline_model::{DAMAGED, Identity, Invocation, InvocationState};

use super::*;

/// A function's name that is nowhere but in its records.
const QUEUE: &str = "some-function";

/// A stopped journal in which three events wait, and what it says of them.
async fn kept() -> (TempDir, Vec<Invocation>) {
    let dir = tempfile::tempdir().unwrap();
    let journal = opened(dir.path()).unwrap();
    for second in 0..3 {
        // The same ids each time: what SQLite finds on the page of a damaged record depends on them.
        let mut unique = [0; 10];
        unique[9] = u8::try_from(second).unwrap();
        let new = NewInvocation {
            request_id: RequestId::new(at(second), unique),
            ..new_at(at(second), offer(QUEUE, Identity::Unique))
        };
        journal.accept(vec![new]).await.unwrap();
    }
    let all = queued(&journal).await.0;
    journal.close().await;
    (dir, all)
}

/// What waits and is whole, and what waits and is damaged.
async fn queued(journal: &SqliteJournal) -> (Vec<Invocation>, Vec<RequestId>) {
    let (queue, none) = (function(QUEUE), Arc::default());
    let queued = journal.queued(&queue, &none, Portion::ALL).await.unwrap();
    (queued.invocations, queued.damaged)
}

/// Where the record of an invocation is in the file: its id, and what its acceptance wrote.
fn record(file: &[u8], id: RequestId) -> usize {
    let row = [&id.as_bytes()[..], QUEUE.as_bytes(), b"door"].concat();
    let found = file.windows(row.len()).position(|at| at == row);
    found.expect("it is there")
}

/// As the feeder does it: ends what is damaged; answers what is left to be run, and what could not be ended.
async fn settled(journal: &SqliteJournal) -> (Vec<Invocation>, Vec<RequestId>) {
    let (whole, damaged) = queued(journal).await;
    let mut unended = Vec::new();
    for id in damaged {
        match journal.cancel_damaged(&function(QUEUE), id, at(9)).await {
            Ok(settled) => assert_eq!(settled, Settled::Ended),
            Err(error) => {
                assert_eq!(error, JournalError::Damaged(id));
                unended.push(id);
            }
        }
    }
    (whole, unended)
}

async fn known(journal: &SqliteJournal, id: RequestId) -> Invocation {
    Journal::get(journal, id).await.unwrap().unwrap()
}

async fn count(journal: &SqliteJournal, state: InvocationState) -> u64 {
    let counts = journal.counts().await.unwrap();
    let of_state = counts.iter().filter(|(_, one, _)| *one == state);
    of_state.map(|(_, _, count)| count).sum()
}

#[tokio::test]
async fn a_damaged_record_ends_and_the_others_are_run() {
    let (dir, records) = kept().await;
    let id = records[1].request_id;
    // Of the queue it is in, and of the event.
    for text in [QUEUE, "door", "test.v1", "traceid"] {
        let damaged = changed(dir.path(), "journal.db", |bytes| {
            let at = record(bytes, id);
            let text = text.as_bytes();
            let place = bytes[at..].windows(text.len()).position(|one| one == text);
            bytes[at + place.unwrap()] ^= 1;
        });
        assert!(inspect(damaged.path()).unwrap().is_damaged(), "{text}");
        let journal = opened(damaged.path()).unwrap();
        let (whole, unread) = queued(&journal).await;
        assert_eq!((whole.len(), &unread[..]), (2, &[id][..]), "{text}");
        let asked = Journal::get(&journal, id).await;
        assert_eq!(asked, Err(JournalError::Damaged(id)), "{text}");
        let page = journal.list(&Query::default()).await.unwrap();
        assert_eq!((page.invocations.len(), page.damaged), (2, unread));

        let (queue, other) = (function(QUEUE), function("other"));
        for one in &records {
            let elsewhere = journal.cancel_damaged(&other, one.request_id, at(9));
            assert_eq!(
                elsewhere.await,
                Ok(Settled::NotThere),
                "{text}: it waits in no other queue"
            );
        }
        for one in &whole {
            let unharmed = journal.cancel_damaged(&queue, one.request_id, at(9));
            let expected = Settled::Whole(Box::new(one.clone()));
            assert_eq!(unharmed.await, Ok(expected), "{text}: it is whole");
        }
        assert_eq!(settled(&journal).await, (whole.clone(), Vec::new()));
        for one in &whole {
            journal.start(one.request_id, at(10)).await.unwrap();
        }
        let told = known(&journal, id).await;
        let ending = told.ending.clone().unwrap();
        assert_eq!((ending.end, ending.at), (End::Cancelled, at(9)));
        assert_eq!((&ending.reason[..], told.ran()), (DAMAGED, Some(false)));
        assert!(ending.detail.unwrap().starts_with("its record was changed"));
        assert!(told.event.is_unknown(), "{text}: {told:?}");
        let place = (told.function, told.trigger, told.accepted_at);
        assert_eq!(place, (function(QUEUE), Some(trigger()), at(1)), "{text}");
        let page = journal.list(&Query::default()).await.unwrap();
        assert_eq!((page.invocations.len(), page.damaged.len()), (3, 0));
        assert_eq!(count(&journal, InvocationState::Accepted).await, 0);
        let cancelled = InvocationState::Ended(End::Cancelled);
        assert_eq!(count(&journal, cancelled).await, 1);
        journal.close().await;

        let found = inspect(damaged.path()).unwrap();
        let said = words(&found);
        assert!(
            !found.is_damaged() && said.contains(&id.to_string()),
            "{said}"
        );
    }
}

#[tokio::test]
async fn data_that_is_changed_or_gone_is_not_run() {
    let (dir, records) = kept().await;
    let id = records[1].request_id;
    let flipped = changed(dir.path(), "journal.db", |bytes| {
        let row = [&id.as_bytes()[..], b"data"].concat();
        let found = bytes.windows(row.len()).position(|bytes| bytes == row);
        bytes[found.unwrap() + 16] ^= 1;
    });
    let gone = changed(dir.path(), "journal.db", |_| {});
    let connection = rusqlite::Connection::open(gone.path().join("journal.db")).unwrap();
    let removed = connection.execute("DELETE FROM payloads WHERE id = ?1", [id.as_bytes()]);
    assert_eq!(removed, Ok(1));
    drop(connection);
    for damaged in [flipped, gone] {
        let found = inspect(damaged.path()).unwrap();
        let said = words(&found);
        let named = records.iter().map(|one| one.request_id);
        let named: Vec<_> = named.filter(|id| said.contains(&id.to_string())).collect();
        assert!(found.is_damaged() && named == [id], "{said}");

        let journal = opened(damaged.path()).unwrap();
        assert_eq!(queued(&journal).await.1, [id]);
        let (whole, unended) = settled(&journal).await;
        assert_eq!((whole.len(), unended), (2, Vec::new()));
        assert_eq!(queued(&journal).await, (whole, Vec::new()));
        let told = known(&journal, id).await;
        assert_eq!(told.event.kind, "test.v1", "the record is whole");
        let ending = told.ending.unwrap();
        assert_eq!((ending.end, &ending.reason[..]), (End::Cancelled, DAMAGED));
        assert!(ending.detail.unwrap().starts_with("the event's data"));
        journal.close().await;
    }
}

#[tokio::test]
async fn what_expires_or_is_cancelled_with_its_function_may_be_damaged() {
    let (dir, records) = kept().await;
    let id = records[0].request_id;
    for is_old in [true, false] {
        // SQLite refuses to change a record that it does not find in its index.
        let damaged = changed(dir.path(), "journal.db", |bytes| {
            let at = record(bytes, id);
            bytes[at + 16] ^= 1;
        });
        let journal = opened(damaged.path()).unwrap();
        let queue = function(QUEUE);
        let ended = match is_old {
            true => journal.expire(&queue, at(2), at(9), 500).await,
            false => journal.cancel_all(&queue, at(9), "removed", 2).await,
        };
        assert_eq!(ended, Ok(vec![id, records[1].request_id]));
        let (is, other) = (
            known(&journal, id).await,
            known(&journal, records[1].request_id).await,
        );
        let (is, other) = (is.ending.unwrap(), other.ending.unwrap());
        assert_eq!((is.end, &is.reason), (other.end, &other.reason));
        assert!(is.detail.is_some() && other.detail.is_none());
        journal.close().await;
        let found = inspect(damaged.path()).unwrap();
        assert!(!found.is_damaged() && words(&found).contains(&id.to_string()));
    }
}

#[tokio::test]
async fn what_its_queue_has_otherwise_than_its_record_is_not_run() {
    let (dir, records) = kept().await;
    let id = records[1].request_id;
    let damaged = displaced(dir.path(), id);
    assert!(inspect(damaged.path()).unwrap().is_damaged());
    let journal = opened(damaged.path()).unwrap();
    let (whole, unended) = settled(&journal).await;
    assert_eq!((whole.len(), unended), (2, Vec::new()));
    for one in &whole {
        journal.start(one.request_id, at(10)).await.unwrap();
    }
    let told = known(&journal, id).await;
    assert_eq!(told.event.kind, "test.v1", "the record is whole");
    let ending = told.ending.unwrap();
    assert_eq!(ending.reason, DAMAGED);
    assert!(ending.detail.unwrap().starts_with("its place in the queue"));
    journal.close().await;
    assert!(!inspect(damaged.path()).unwrap().is_damaged());
}

#[tokio::test]
async fn what_cannot_be_read_does_not_keep_the_others_from_expiring() {
    let (dir, records) = kept().await;
    let id = records[0].request_id;
    for is_old in [true, false] {
        // Its trigger is now longer than the record.
        let damaged = changed(dir.path(), "journal.db", |bytes| {
            let at = record(bytes, id);
            bytes[at - 25] = 0x7f;
        });
        let journal = opened(damaged.path()).unwrap();
        let end = async || match is_old {
            true => journal.expire(&function(QUEUE), at(9), at(9), 2).await,
            false => {
                journal
                    .cancel_all(&function(QUEUE), at(9), "removed", 2)
                    .await
            }
        };
        let others = records[1..].iter().map(|one| one.request_id).collect();
        assert_eq!((end().await, end().await), (Ok(others), Ok(Vec::new())));
        assert_eq!(count(&journal, InvocationState::Accepted).await, 1);
        journal.close().await;
    }
}

/// Entries of the index that no record stands for are not all that waits.
#[tokio::test]
async fn places_without_a_record_do_not_hide_what_waits_behind_them() {
    let (dir, records) = kept().await;
    let path = dir.path().join("journal.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let hide = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'state = 0', 'state = 9')
                WHERE name = 'waiting'; PRAGMA writable_schema = RESET;";
    connection.execute_batch(hide).unwrap();
    let first = records[0].request_id;
    let removed = connection.execute("DELETE FROM invocations WHERE id = ?1", [first.as_bytes()]);
    assert_eq!(removed, Ok(1));
    connection
        .execute_batch(&hide.replace("'state = 0', 'state = 9'", "'state = 9', 'state = 0'"))
        .unwrap();
    drop(connection);
    let journal = opened(dir.path()).unwrap();
    let ended = journal.expire(&function(QUEUE), at(9), at(9), 1).await;
    assert_eq!(ended, Ok(vec![records[1].request_id]));
    journal.close().await;
}

/// A copy in which the index has another time since which an event waits.
fn displaced(dir: &Path, id: RequestId) -> TempDir {
    changed(dir, "journal.db", |bytes| {
        let entry = QUEUE.len() + 6 + 16;
        let is_entry = |at: &[u8]| at.starts_with(QUEUE.as_bytes()) && at.ends_with(id.as_bytes());
        let found = bytes.windows(entry).position(is_entry);
        bytes[found.unwrap() + QUEUE.len() + 5] ^= 1;
    })
}

/// What was read before its place in the queue changed is whole: it can be started, and ended.
#[tokio::test]
async fn a_place_that_changed_keeps_nobody_from_starting_or_ending_it() {
    let (dir, records) = kept().await;
    let id = records[1].request_id;
    for is_started in [true, false] {
        let damaged = displaced(dir.path(), id);
        let journal = opened(damaged.path()).unwrap();
        if is_started {
            assert_eq!(journal.start(id, at(9)).await, Ok(()));
        }
        let ending = Ending::new(
            if is_started {
                End::Failed
            } else {
                End::Cancelled
            },
            at(10),
            "test",
        );
        assert_eq!(journal.finish(id, ending.clone()).await, Ok(()));
        let told = known(&journal, id).await;
        assert_eq!(
            (told.ending, told.event.kind),
            (Some(ending), "test.v1".to_owned())
        );
        assert_eq!(queued(&journal).await.0.len(), 2);
        assert_eq!(count(&journal, InvocationState::Accepted).await, 2);
        journal.close().await;
        let found = inspect(damaged.path()).unwrap();
        assert!(!found.is_damaged(), "{}", words(&found));
    }
}

/// Every page of a list: the records on them, and those that are left out.
async fn listed(journal: &SqliteJournal) -> (Vec<Invocation>, Vec<RequestId>) {
    let (mut query, mut all) = (Query::default(), (Vec::new(), Vec::new()));
    loop {
        let page = journal.list(&query).await.unwrap();
        all.0.extend(page.invocations);
        all.1.extend(page.damaged);
        query.before = page.next;
        if query.before.is_none() {
            return all;
        }
    }
}

/// Whatever changes of an event, the others are run as they were accepted, and it only if it is whole.
#[tokio::test]
async fn no_damaged_event_holds_up_the_others() {
    let (dir, records) = kept().await;
    let file = fs::read(dir.path().join("journal.db")).unwrap();
    let id = records[1].request_id;
    let bytes = own_bytes(&file, record(&file, id));
    let (mut ended, mut unended) = (0, 0);
    for byte in bytes {
        let damaged = changed(dir.path(), "journal.db", |bytes| {
            bytes[byte] ^= 1 << (byte % 8);
        });
        let journal = opened(damaged.path()).unwrap();
        let (named, left_out) = listed(&journal).await;
        assert_eq!(named.len() + left_out.len(), 3, "byte {byte}");
        let (whole, left) = settled(&journal).await;
        for one in &whole {
            assert!(records.contains(one), "byte {byte}: {one:?}");
            let started = journal.start(one.request_id, at(9)).await;
            assert_eq!(started, Ok(()), "byte {byte}");
        }
        let others = whole.iter().filter(|one| one.request_id != id);
        assert_eq!(others.count(), 2, "byte {byte}");
        ended += 3 - whole.len() - left.len();
        unended += left.len();
        journal.close().await;
    }
    // Where SQLite cannot read the lengths, it can neither read nor remove the record.
    assert!(ended >= 75 && unended <= 25, "{ended} ended, {unended} not");
}
