//! Reading, counting, functions, retention.

use std::sync::Arc;
use std::time::Duration;

use tripline_journal::{JournalError, Page, Portion, Query, Retention};
use tripline_model::{
    CursorEntry, End, Ending, Execution, Identity, Invocation, InvocationState, RequestId,
    TriggerName,
};

use super::{Subject, each};
use crate::support::*;

/// Keeps what there is.
const FOREVER: Retention = Retention {
    keep_ended: Duration::MAX,
    keep_at_least: Duration::ZERO,
    max_bytes: u64::MAX,
    keep_removed: Duration::MAX,
};

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
    s.journal.queued(&f, &except, most).await.unwrap()
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
            let Page { invocations, next } = s.journal.list(&query).await.unwrap();
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
async fn records_are_kept_from_their_end_not_from_their_beginning() {
    each(|s| async move {
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(accept(&*s.journal, "f", at(n)).await);
        }
        for (n, hours) in [(0, 30), (1, 1), (2, 2)] {
            s.journal.start(ids[n], at(9)).await.unwrap();
            end(&s, ids[n], End::Succeeded, 3600 * hours).await;
        }
        let key = new_at(at(0), offer("f", key("k", HOUR, None)));
        let (key_id, offered) = (key.request_id, key.offer.clone());
        s.journal.accept(vec![key]).await.unwrap();
        let retention = Retention {
            keep_ended: 72 * HOUR,
            ..FOREVER
        };
        let now = at(3600 * 75);
        let purged = s.journal.purge(&retention, now).await.unwrap();
        assert_eq!((purged.invocations, purged.identities), (2, 1));
        let kept = async |id| s.journal.get(id).await.unwrap().is_some();
        let states = [
            kept(ids[0]).await,
            kept(ids[1]).await,
            kept(ids[2]).await,
            kept(ids[3]).await,
        ];
        assert_eq!(states, [true, false, false, true]);
        assert!(kept(key_id).await);
        s.clock.set(now);
        assert_eq!(s.journal.find_identity(&offered).await, Ok(None));
        let counts = s.journal.counts().await.unwrap();
        let ended = InvocationState::Ended(End::Succeeded);
        assert!(counts.contains(&(function("f"), ended, 1)), "{counts:?}");
    })
    .await;
}

#[tokio::test]
async fn above_the_size_ended_ones_go_and_open_ones_stay() {
    each(|s| async move {
        let open = accept(&*s.journal, "f", at(0)).await;
        let ended = accept(&*s.journal, "f", at(0)).await;
        s.journal.start(ended, at(1)).await.unwrap();
        end(&s, ended, End::Failed, 2).await;
        let nothing = Retention {
            max_bytes: 1,
            ..FOREVER
        };
        let purged = s.journal.purge(&nothing, at(3)).await.unwrap();
        assert_eq!(purged.invocations, 1);
        assert_eq!(s.journal.get(ended).await, Ok(None));
        assert!(s.journal.get(open).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn above_the_size_what_has_just_ended_stays_for_a_while() {
    each(|s| async move {
        let ended = accept(&*s.journal, "f", at(0)).await;
        s.journal.start(ended, at(1)).await.unwrap();
        end(&s, ended, End::Succeeded, 2).await;
        let mut retention = Retention {
            keep_at_least: HOUR,
            max_bytes: 1,
            ..FOREVER
        };
        let mut removed = Vec::new();
        for seconds in [3, 3602, 3603] {
            removed.push(
                s.journal
                    .purge(&retention, at(seconds))
                    .await
                    .unwrap()
                    .invocations,
            );
        }
        assert_eq!(removed, [0, 0, 1]);

        let ended = accept(&*s.journal, "f", at(0)).await;
        s.journal.start(ended, at(1)).await.unwrap();
        end(&s, ended, End::Succeeded, 2).await;
        retention.keep_ended = Duration::from_secs(1);
        let purged = s.journal.purge(&retention, at(4)).await.unwrap();
        assert_eq!(
            purged.invocations, 1,
            "it is not kept longer than all others"
        );
    })
    .await;
}

#[tokio::test]
async fn a_backlog_above_the_size_costs_nothing_that_has_ended() {
    each(|s| async move {
        let ended = accept(&*s.journal, "f", at(0)).await;
        s.journal.start(ended, at(1)).await.unwrap();
        end(&s, ended, End::Succeeded, 2).await;
        let retention = Retention {
            max_bytes: 1 << 20,
            ..FOREVER
        };
        for _ in 0..40 {
            let mut new = new_at(at(3), offer("f", Identity::Unique));
            let event = &mut Arc::make_mut(&mut new.offer).event;
            event.data = Some(vec![b'x'; 100_000].into());
            s.journal.accept(vec![new]).await.unwrap();
        }
        s.journal.purge(&retention, at(60)).await.unwrap();
        assert!(s.journal.get(ended).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn notes_of_a_trigger_go_when_it_was_removed_long_ago() {
    each(|s| async move {
        let (kept, gone) = (trigger(), TriggerName::new("removed").unwrap());
        let retention = Retention {
            keep_removed: HOUR,
            ..FOREVER
        };
        for via in [&kept, &gone] {
            let mut new = new_at(at(0), offer("f", position(7)));
            Arc::make_mut(&mut new.offer).trigger = Some(via.clone());
            s.journal.accept(vec![new]).await.unwrap();
            let entry = |n: u32| CursorEntry {
                key: n.to_be_bytes().to_vec().into(),
                value: Some("x".into()),
            };
            // More than one step of a removal.
            let entries = (0..1200).map(entry).collect();
            s.cursors.put(via, entries).await.unwrap();
        }
        let notes = async |via| {
            let cursors = s.cursors.range(via, None, 2000).await.unwrap().len();
            (cursors, s.cursors.watermark(via, "orders/0").await.unwrap())
        };
        let register = async |present: &[TriggerName], seconds| {
            s.journal
                .register_triggers(present, at(seconds))
                .await
                .unwrap();
        };
        let purge = async |seconds| {
            s.journal
                .purge(&retention, at(seconds))
                .await
                .unwrap()
                .notes
        };
        let both = [kept.clone(), gone.clone()];
        register(&both, 0).await;
        assert_eq!(purge(10_000).await, 0);
        // It comes back before its time is over.
        register(&both[..1], 10_000).await;
        register(&both, 12_000).await;
        assert_eq!(purge(20_000).await, 0);
        register(&both[..1], 20_000).await;
        register(&both[..1], 22_000).await;
        assert_eq!(purge(23_600).await, 0);
        assert_eq!(notes(&gone).await, (1200, Some(7)));
        assert!(
            purge(23_601).await > 1200,
            "counted from when it was missing first"
        );
        assert_eq!(notes(&gone).await, (0, None));
        assert_eq!(purge(90_000).await, 0);
        assert_eq!(notes(&kept).await, (1200, Some(7)));
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

async fn end(s: &Subject, id: RequestId, end: End, seconds: u64) {
    let ending = Ending::new(end, at(seconds), "test");
    s.journal.finish(id, ending).await.unwrap();
}
