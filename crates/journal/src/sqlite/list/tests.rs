use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use futures_util::future::join_all;
use tripline_model::{End, Ending, Event, Identity, ManualClock, Offer};

use super::*;
use crate::sqlite::schema;
use crate::{Journal, JournalOptions, NewInvocation, SqliteJournal};

fn open(dir: &Path) -> SqliteJournal {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    SqliteJournal::open(dir, JournalOptions::default(), clock).unwrap()
}

/// Accepts an event of `function` at a second.
async fn accept(journal: &SqliteJournal, function: &str, second: i64) -> RequestId {
    let accepted_at = Timestamp::from_millis(second * 1000);
    let request_id = RequestId::new(accepted_at, [0; 10]);
    let event = Event {
        id: "1".to_owned(),
        source: "/s".to_owned(),
        kind: "k".to_owned(),
        subject: None,
        time: accepted_at,
        content_type: None,
        data: None,
        extensions: [].into(),
    };
    let offer = Arc::new(Offer {
        function: FunctionName::new(function).unwrap(),
        trigger: Some(TriggerName::new("t").unwrap()),
        event,
        identity: Identity::Unique,
        cursors: Vec::new(),
    });
    let new = NewInvocation {
        request_id,
        accepted_at,
        offer,
    };
    journal.accept(vec![new]).await.unwrap();
    request_id
}

async fn end(journal: &SqliteJournal, id: RequestId, end: End) {
    let at = Timestamp::from_millis(0);
    journal.start(id, at).await.unwrap();
    let ending = Ending::new(end, at, "test");
    journal.finish(id, ending).await.unwrap();
}

/// Every way to ask.
fn queries() -> impl Iterator<Item = Query> {
    let states = InvocationState::ALL.into_iter().map(Some).chain([None]);
    states.flat_map(|state| {
        (0..4).map(move |filters| Query {
            function: (filters & 1 > 0).then(|| FunctionName::new("f").unwrap()),
            trigger: (filters & 2 > 0).then(|| TriggerName::new("t").unwrap()),
            state,
            ..Query::default()
        })
    })
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_records_and_the_next_goes_on_there() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut oldest = Vec::new();
    for (second, how) in [End::Succeeded, End::Failed].into_iter().enumerate() {
        let id = accept(&journal, "f", second as i64).await;
        end(&journal, id, how).await;
        oldest.push(id);
    }
    oldest.push(accept(&journal, "f", 2).await);
    for second in 3..40 {
        let id = accept(&journal, "g", second).await;
        end(&journal, id, End::Failed).await;
    }
    let connection = schema::open_reader(&dir.path().join("journal.db")).unwrap();
    let bounds = Bounds {
        walk: 10,
        bytes: usize::MAX,
    };
    for mut query in queries() {
        let (mut pages, mut found) = (0, Vec::new());
        loop {
            let page = page(&connection, &query, bounds).unwrap();
            assert!(page.invocations.len() <= 10);
            found.extend(page.invocations.iter().map(|one| one.request_id));
            pages += 1;
            query.before = page.next;
            if page.next.is_none() {
                break;
            }
        }
        query.before = None;
        let whole = list(&connection, &query).unwrap();
        let whole: Vec<_> = whole.invocations.iter().map(|one| one.request_id).collect();
        assert_eq!(found, whole, "{query:?}");
        // What waits is found at once, however much has ended since.
        if query.state == Some(InvocationState::Accepted) && query.trigger.is_none() {
            assert_eq!((found, pages), (vec![oldest[2]], 1), "{query:?}");
        }
    }
}

#[tokio::test]
async fn a_page_does_not_look_like_the_last_when_what_waits_starts_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut newest = RequestId::floor(Timestamp::from_millis(0));
    for second in 0..6 {
        newest = accept(&journal, "f", second).await;
    }
    let path = dir.path().join("journal.db");
    let mut reader = schema::open_reader(&path).unwrap();
    let query = Query {
        state: Some(InvocationState::Accepted),
        limit: 2,
        ..Query::default()
    };
    // It starts after each step of the reader in turn.
    for moment in 1.. {
        let writer = Connection::open(&path).unwrap();
        let set = move |state: u8| {
            let sql = "UPDATE invocations SET state = ?1 WHERE id = ?2";
            writer.execute(sql, rusqlite::params![state, newest.as_bytes()])
        };
        let (tell, told) = sync_channel(1);
        let mut step = 0;
        let start = move || {
            step += 1;
            if step == moment {
                set(1).unwrap();
                tell.send(()).unwrap();
            }
            false
        };
        reader.progress_handler(1, Some(start)).unwrap();
        let page = list(&reader, &query).unwrap();
        reader.progress_handler(0, None::<fn() -> bool>).unwrap();
        assert!(page.next.is_some(), "after step {moment}: {page:?}");
        if told.try_recv().is_err() {
            assert!(moment > 100, "{moment} steps are no list");
            break;
        }
        let writer = Connection::open(&path).unwrap();
        let sql = "UPDATE invocations SET state = 0 WHERE id = ?1";
        writer.execute(sql, [newest.as_bytes()]).unwrap();
    }
}

#[tokio::test]
async fn every_walk_is_along_an_index_in_the_order_of_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let _journal = open(dir.path());
    let connection = schema::open_reader(&dir.path().join("journal.db")).unwrap();
    let walks = queries().map(|query| walk_sql(row::COLUMNS, &way(&query).0));
    for sql in walks.chain([SELECT_WAITING.to_owned()]) {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let plan = explain.raw_query().mapped(|row| row.get::<_, String>(3));
        let plan: Vec<_> = plan.map(Result::unwrap).collect();
        assert_eq!(plan.len(), 1, "{sql}: {plan:?}");
        assert!(
            plan[0].starts_with("SEARCH invocations USING"),
            "{sql}: {plan:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_a_list_does_not_wait_for_lists() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let id = accept(&journal, "f", 1).await;
    let (releases, lists): (Vec<_>, Vec<_>) = (0..8)
        .map(|_| {
            let (release, held) = sync_channel::<()>(1);
            let busy = journal.lists.read(move |_| {
                // Until the other end is dropped.
                let _ = held.recv();
                Ok(())
            });
            (release, busy)
        })
        .unzip();
    let get = async {
        let found = journal.get(id).await.unwrap();
        drop(releases);
        found.is_some()
    };
    let (lists, found) = tokio::join!(join_all(lists), get);
    assert!(found && lists.iter().all(Result::is_ok));
}
