//! What is kept, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tripline_journal::{NewInvocation, Retention};
use tripline_model::{CursorEntry, End, Identity, InvocationState, TriggerName};

use super::{each, end};
use crate::support::*;

/// Keeps everything.
const FOREVER: Retention = Retention {
    keep_ended: Duration::MAX,
    keep_at_least: Duration::ZERO,
    max_bytes: u64::MAX,
    keep_removed: Duration::MAX,
};

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
        // Data of some sizes fills the pages of a file badly.
        for (count, data, attribute) in [
            (40_u64, 100_000, 0),
            (2000, 2500, 0),
            (500, 12_000, 0),
            (200, 0, 9000),
        ] {
            let mut new = new_at(at(3), offer("f", Identity::Unique));
            let event = &mut Arc::make_mut(&mut new.offer).event;
            event.data = Some(vec![b'x'; data].into());
            event.extensions = [("long".to_owned(), "x".repeat(attribute))].into();
            let again = |n| NewInvocation {
                request_id: id_at(at(3 + n)),
                ..new.clone()
            };
            s.journal
                .accept((0..count).map(again).collect())
                .await
                .unwrap();
            s.journal.purge(&retention, at(60)).await.unwrap();
            let left = s.journal.get(ended).await.unwrap();
            assert!(left.is_some(), "{data} bytes and {attribute}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_ended_while_no_hub_was_there_is_kept_from_when_that_was_recorded() {
    each(|s| async move {
        let id = accept(&*s.journal, "f", at(0)).await;
        s.journal.start(id, at(1)).await.unwrap();
        let back = 100 * 3600;
        s.clock.set(at(back));
        end(&s, id, End::Succeeded, 2).await;
        let old = Retention {
            keep_ended: 72 * HOUR,
            ..FOREVER
        };
        let large = Retention {
            keep_at_least: HOUR,
            max_bytes: 1,
            ..old
        };
        for (retention, seconds) in [(large, 3600), (old, 72 * 3600)] {
            let purge = s.journal.purge(&retention, at(back + seconds));
            assert_eq!(purge.await.unwrap().invocations, 0);
        }
        let read = s.journal.get(id).await.unwrap().unwrap();
        assert_eq!(read.ending.unwrap().at, at(2), "it says when it truly was");
        let purge = s.journal.purge(&old, at(back + 72 * 3600 + 1));
        assert_eq!(purge.await.unwrap().invocations, 1);
    })
    .await;
}

#[tokio::test]
async fn the_oldest_is_told_that_runs_or_whose_end_was_recorded_lately() {
    each(|s| async move {
        let oldest = async |since| s.journal.oldest_with_log_to_keep(at(since)).await.unwrap();
        let begin = async |second| {
            let id = accept(&*s.journal, "f", at(second)).await;
            s.journal.start(id, at(second)).await.unwrap();
            id
        };
        accept(&*s.journal, "f", at(0)).await;
        assert_eq!(oldest(0).await, None, "what waits has no log");
        let mut ids = Vec::new();
        for second in 1..6 {
            ids.push(begin(second).await);
        }
        let short = begin(6).await;
        assert_eq!(oldest(1_000_000).await, Some(ids[0]), "it runs");
        // How each ended, when that was, and when it was recorded.
        for (n, how, ended, recorded) in [
            (0, End::Lost, 1000, 1000),
            (1, End::Succeeded, 10, 5000),
            (2, End::Failed, 3000, 3000),
            (3, End::Succeeded, 10, 4000),
        ] {
            s.clock.set(at(recorded));
            end(&s, ids[n], how, ended).await;
        }
        let running = Some(ids[4]);
        for (since, expected) in [
            (1000, Some(ids[0])),
            (1001, Some(ids[1])),
            (5000, Some(ids[1])),
            (5001, running),
        ] {
            assert_eq!(oldest(since).await, expected, "since {since}");
        }
        s.clock.set(at(66));
        end(&s, short, End::Failed, 66).await;
        end(&s, ids[4], End::Failed, 66).await;
        assert_eq!(oldest(10).await, Some(ids[0]));
        assert_eq!(oldest(5001).await, None);
        let retention = Retention {
            keep_ended: Duration::from_secs(4000),
            ..FOREVER
        };
        s.journal.purge(&retention, at(9000)).await.unwrap();
        assert_eq!(oldest(0).await, Some(ids[1]), "it alone is left");
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
            // More than is removed in one transaction.
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
