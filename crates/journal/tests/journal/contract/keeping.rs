//! Reading, counting, functions.

use std::sync::Arc;

use tripline_journal::{JournalError, Page, Portion, Query};
use tripline_model::{End, Execution, Identity, Invocation, InvocationState, RequestId};

use super::{Subject, each, end};
use crate::support::*;

#[tokio::test]
async fn the_queue_is_in_order_with_data() {
    each(|s| async move {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(accept(&*s.journal, "f", at(n)).await);
        }
        accept(&*s.journal, "g", at(0)).await;
        s.journal.start(ids[0], at(9)).await.unwrap();
        let queued = waiting(&s, &[], Portion::ALL).await;
        assert!(queued.iter().all(|i| i.event == event(b"data")));
        assert_eq!(ids_of(&queued), ids[1..]);
        let two = Portion {
            count: 2,
            ..Portion::ALL
        };
        assert_eq!(ids_of(&waiting(&s, &[], two).await), ids[1..3]);
        let not_the_second = waiting(&s, &[ids[2], ids[0]], two).await;
        assert_eq!(ids_of(&not_the_second), [ids[1], ids[3]]);
        let mut lengths = s.journal.queue_lengths().await.unwrap();
        lengths.sort();
        assert_eq!(lengths, [(function("f"), 4), (function("g"), 1)]);
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_read_in_portions_of_bytes_and_never_not_at_all() {
    each(|s| async move {
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(accept(&*s.journal, "f", at(n)).await);
        }
        let each = event(b"data").weight();
        for (bytes, read) in [(0, 1), (each, 1), (3 * each - 1, 2), (3 * each, 3)] {
            let most = Portion {
                bytes,
                ..Portion::ALL
            };
            let queued = waiting(&s, &[], most).await;
            assert_eq!(ids_of(&queued), ids[..read], "{bytes}");
        }
    })
    .await;
}

async fn waiting(s: &Subject, except: &[RequestId], most: Portion) -> Vec<Invocation> {
    let except = Arc::new(except.iter().copied().collect());
    let f = function("f");
    let queued = s.journal.queued(&f, &except, most).await.unwrap();
    assert_eq!(queued.damaged, []);
    queued.invocations
}

fn ids_of(invocations: &[Invocation]) -> Vec<RequestId> {
    invocations.iter().map(|one| one.request_id).collect()
}

#[tokio::test]
async fn counts_follow_every_move() {
    each(|s| async move {
        for n in 0..4 {
            let id = accept(&*s.journal, "f", at(n)).await;
            if n < 3 {
                s.journal.start(id, at(9)).await.unwrap();
            }
            if n < 2 {
                end(&s, id, End::Succeeded, 10).await;
            }
        }
        let mut counts = s.journal.counts().await.unwrap();
        counts.sort_by_key(|(_, state, _)| state.as_str());
        let f = function("f");
        let expected = [
            (f.clone(), InvocationState::Accepted, 1),
            (f.clone(), InvocationState::Running, 1),
            (f, InvocationState::Ended(End::Succeeded), 2),
        ];
        assert_eq!(counts, expected);
    })
    .await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    each(|s| async move {
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(accept(&*s.journal, if n % 2 == 0 { "f" } else { "g" }, at(n)).await);
        }
        let mut called = new_at(at(6), offer("f", Identity::Unique));
        Arc::make_mut(&mut called.offer).trigger = None;
        ids.push(called.request_id);
        s.journal.accept(vec![called]).await.unwrap();
        for n in [0, 2] {
            s.journal.start(ids[n], at(9)).await.unwrap();
        }
        end(&s, ids[0], End::Failed, 10).await;
        let list = async |query: Query| {
            let Page {
                invocations, next, ..
            } = s.journal.list(&query).await.unwrap();
            assert!(invocations.iter().all(|i| i.event.data.is_none()));
            (
                invocations.iter().map(|i| i.request_id).collect::<Vec<_>>(),
                next,
            )
        };
        let pick = |n: &[usize]| n.iter().map(|n| ids[*n]).collect::<Vec<_>>();
        let all = Query {
            limit: 4,
            ..Query::default()
        };
        assert_eq!(list(all.clone()).await, (pick(&[6, 5, 4, 3]), Some(ids[3])));
        let rest = Query {
            before: Some(ids[3]),
            ..all.clone()
        };
        assert_eq!(list(rest).await, (pick(&[2, 1, 0]), None));
        let f = Query {
            function: Some(function("f")),
            ..all.clone()
        };
        assert_eq!(list(f.clone()).await.0, pick(&[6, 4, 2, 0]));
        let through = Query {
            trigger: Some(trigger()),
            ..f.clone()
        };
        assert_eq!(list(through).await.0, pick(&[4, 2, 0]));
        let times = Query {
            since: Some(at(1)),
            until: Some(at(4)),
            ..all.clone()
        };
        assert_eq!(list(times).await.0, pick(&[3, 2, 1]));
        for (state, expected) in [
            (InvocationState::Ended(End::Failed), &[0][..]),
            (InvocationState::Running, &[2]),
            (InvocationState::Accepted, &[6, 4]),
            (InvocationState::Ended(End::Succeeded), &[]),
        ] {
            let query = Query {
                state: Some(state),
                ..f.clone()
            };
            assert_eq!(list(query).await.0, pick(expected), "{state}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_of_large_invocations_ends_early() {
    each(|s| async move {
        let mut ids = Vec::new();
        for n in 0..150 {
            let mut new = new_at(at(n), offer("f", Identity::Unique));
            Arc::make_mut(&mut new.offer).event.subject = Some("s".repeat(60_000));
            ids.push(new.request_id);
            s.journal.accept(vec![new]).await.unwrap();
        }
        ids.reverse();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let query = Query {
                before,
                limit: 1000,
                ..Query::default()
            };
            let page = s.journal.list(&query).await.unwrap();
            let bytes: usize = page.invocations.iter().map(|one| one.event.size()).sum();
            assert!((60_000..4 << 20).contains(&bytes), "{bytes}");
            found.extend(ids_of(&page.invocations));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, ids);
    })
    .await;
}

#[tokio::test]
async fn a_function_keeps_its_mode_until_it_is_gone() {
    each(|s| async move {
        let (f, g) = (function("f"), function("g"));
        let both = [(f.clone(), Execution::Async), (g.clone(), Execution::Sync)];
        s.journal.register_functions(&both).await.unwrap();
        s.journal.register_functions(&both).await.unwrap();
        let changed = [
            (function("h"), Execution::Sync),
            (f.clone(), Execution::Sync),
        ];
        let locked = JournalError::ExecutionLocked {
            function: f.clone(),
            locked: Execution::Async,
            wanted: Execution::Sync,
        };
        assert_eq!(s.journal.register_functions(&changed).await, Err(locked));
        // The refused call changed nothing: `h` is still free, `g` still locked.
        let gone = [(function("h"), Execution::Async), (g, Execution::Sync)];
        s.journal.register_functions(&gone).await.unwrap();
        s.journal.register_functions(&changed).await.unwrap_err();
        let back = [(f, Execution::Sync)];
        s.journal.register_functions(&back).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_closed_journal_says_so() {
    each(|s| async move {
        s.journal.close().await;
        let new = new_at(at(0), offer("f", Identity::Unique));
        let answer = s.journal.accept(vec![new]).await;
        assert!(
            matches!(answer, Err(JournalError::Unavailable(_))),
            "{answer:?}"
        );
        let answer = s.journal.get(id_at(at(0))).await;
        assert!(
            matches!(answer, Err(JournalError::Unavailable(_))),
            "{answer:?}"
        );
    })
    .await;
}
