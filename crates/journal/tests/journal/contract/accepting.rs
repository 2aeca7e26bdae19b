//! Accepting: what is stored, and what is recognized as a repeat.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tripline_journal::{Accepted, JournalError};
use tripline_model::{CursorEntry, Identity, InvocationState};

use super::each;
use crate::support::*;

#[tokio::test]
async fn what_was_accepted_is_read_back_whole() {
    each(|s| async move {
        let mut new = new_at(at(0), offer("f", Identity::Unique));
        Arc::make_mut(&mut new.offer).event.data = Some(Bytes::new());
        let (id, event) = (new.request_id, new.offer.event.clone());
        let none = accept(&*s.journal, "f", at(1)).await;
        s.journal.accept(vec![new]).await.unwrap();
        let read = s.journal.get(id).await.unwrap().unwrap();
        assert_eq!(read.event, event);
        assert_eq!(read.state, InvocationState::Accepted);
        assert_eq!(
            (read.function, read.trigger),
            (function("f"), Some(trigger()))
        );
        assert_eq!((read.accepted_at, read.started_at), (at(0), None));
        assert_eq!((read.ending, read.data_len), (None, 0));
        assert_eq!(s.journal.get(none).await.unwrap().unwrap().data_len, 4);
        assert_eq!(s.journal.get(id_at(at(0))).await, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn no_value_is_not_an_empty_value() {
    each(|s| async move {
        let mut new = new_at(at(0), offer("f", Identity::Unique));
        Arc::make_mut(&mut new.offer).event.data = None;
        Arc::make_mut(&mut new.offer).trigger = None;
        let id = new.request_id;
        s.journal.accept(vec![new]).await.unwrap();
        let read = s.journal.get(id).await.unwrap().unwrap();
        assert_eq!((read.event.data, read.trigger), (None, None));
    })
    .await;
}

#[tokio::test]
async fn a_key_is_known_within_its_window_and_no_longer() {
    each(|s| async move {
        let offered = || offer("f", key("k", 24 * HOUR, None));
        let first = new_at(at(0), offered());
        let id = first.request_id;
        assert_eq!(s.journal.find_identity(&first.offer).await, Ok(None));
        assert_eq!(
            s.journal.accept(vec![first]).await,
            Ok(vec![Accepted::New(id)])
        );
        for hours in [0, 5, 12, 23] {
            s.clock.set(at(3600 * hours + 3599));
            let again = new_at(at(3600 * hours + 3599), offered());
            let known = Accepted::Known(id);
            assert_eq!(s.journal.find_identity(&again.offer).await, Ok(Some(known)));
            assert_eq!(
                s.journal.accept(vec![again]).await,
                Ok(vec![known]),
                "{hours}"
            );
        }
        s.clock.set(at(86_400));
        let late = new_at(at(86_400), offered());
        let second = late.request_id;
        assert_eq!(s.journal.find_identity(&late.offer).await, Ok(None));
        assert_eq!(
            s.journal.accept(vec![late]).await,
            Ok(vec![Accepted::New(second)])
        );
    })
    .await;
}

#[tokio::test]
async fn a_window_that_was_changed_forgets_nothing() {
    each(|s| async move {
        let first = new_at(at(0), offer("f", key("k", 24 * HOUR, None)));
        let known = Accepted::Known(first.request_id);
        s.journal.accept(vec![first]).await.unwrap();
        let again = new_at(at(7200), offer("f", key("k", HOUR, None)));
        assert_eq!(s.journal.accept(vec![again]).await, Ok(vec![known]));
    })
    .await;
}

#[tokio::test]
async fn a_short_window_can_be_used_again_at_once() {
    each(|s| async move {
        let second = Duration::from_secs(1);
        for seconds in 0..5 {
            let new = new_at(at(seconds), offer("f", key("k", second, None)));
            let id = new.request_id;
            assert_eq!(
                s.journal.accept(vec![new]).await,
                Ok(vec![Accepted::New(id)])
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_with_another_digest_is_refused_and_moves_no_cursor() {
    each(|s| async move {
        let first = new_at(at(0), offer("f", key("k", HOUR, Some([1; 32]))));
        let id = first.request_id;
        let mut other = new_at(at(1), offer("f", key("k", HOUR, Some([2; 32]))));
        Arc::make_mut(&mut other.offer).cursors = vec![cursor(b"c", Some(b"v"))];
        let same = new_at(at(2), offer("f", key("k", HOUR, Some([1; 32]))));
        let silent = new_at(at(3), offer("f", key("k", HOUR, None)));
        let answers = s.journal.accept(vec![first, other, same, silent]).await;
        let known = Accepted::Known(id);
        assert_eq!(
            answers,
            Ok(vec![Accepted::New(id), Accepted::KeyReused, known, known])
        );
        assert_eq!(s.cursors.get(&trigger(), b"c").await, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn keys_of_the_api_and_of_a_trigger_are_two() {
    each(|s| async move {
        let through = new_at(at(0), offer("f", key("k", HOUR, None)));
        let mut called = new_at(at(0), offer("f", key("k", HOUR, None)));
        Arc::make_mut(&mut called.offer).trigger = None;
        let fresh = vec![
            Accepted::New(through.request_id),
            Accepted::New(called.request_id),
        ];
        assert_eq!(s.journal.accept(vec![through, called]).await, Ok(fresh));
    })
    .await;
}

#[tokio::test]
async fn positions_only_grow_and_cursors_travel_along() {
    each(|s| async move {
        let mut batch: Vec<_> = [7, 7, 9, 8, u64::MAX]
            .into_iter()
            .map(|p| new_at(at(0), offer("f", position(p))))
            .collect();
        Arc::make_mut(&mut batch[1].offer).cursors = vec![cursor(b"c", Some(b"v"))];
        let ids: Vec<_> = batch.iter().map(|new| new.request_id).collect();
        assert_eq!(s.cursors.watermark(&trigger(), "orders/0").await, Ok(None));
        let answers = s.journal.accept(batch).await.unwrap();
        let new = |n: usize| Accepted::New(ids[n]);
        assert_eq!(
            answers,
            [new(0), Accepted::Past, new(2), Accepted::Past, new(4)]
        );
        let mark = s.cursors.watermark(&trigger(), "orders/0").await;
        assert_eq!(mark, Ok(Some(u64::MAX)));
        let past = s.journal.find_identity(&offer("f", position(3))).await;
        assert_eq!(past, Ok(Some(Accepted::Past)));
        let value = s.cursors.get(&trigger(), b"c").await;
        assert_eq!(value, Ok(Some(Bytes::from_static(b"v"))));
    })
    .await;
}

#[tokio::test]
async fn an_id_is_used_once_and_its_batch_is_undone() {
    each(|s| async move {
        let id = accept(&*s.journal, "f", at(0)).await;
        let good = new_at(at(1), offer("f", position(1)));
        let good_id = good.request_id;
        let mut bad = new_at(at(1), offer("f", Identity::Unique));
        bad.request_id = id;
        let refused = s.journal.accept(vec![good, bad]).await;
        assert_eq!(refused, Err(JournalError::Duplicate(id)));
        assert_eq!(s.journal.get(good_id).await, Ok(None));
        assert_eq!(s.cursors.watermark(&trigger(), "orders/0").await, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn cursors_are_kept_in_order_and_removed() {
    each(|s| async move {
        let entries = [b"b" as &[u8], b"", b"c", b"a"].map(|key| cursor(key, Some(b"v")));
        s.cursors.put(&trigger(), entries.to_vec()).await.unwrap();
        s.cursors
            .put(&trigger(), vec![cursor(b"b", None)])
            .await
            .unwrap();
        let keys =
            |entries: Vec<CursorEntry>| entries.into_iter().map(|e| e.key).collect::<Vec<_>>();
        let all = s.cursors.range(&trigger(), None, 9).await.unwrap();
        assert_eq!(keys(all), [&b""[..], b"a", b"c"]);
        let some = s.cursors.range(&trigger(), Some(b""), 1).await.unwrap();
        assert_eq!(keys(some), [&b"a"[..]]);
    })
    .await;
}

fn cursor(key: &'static [u8], value: Option<&'static [u8]>) -> CursorEntry {
    CursorEntry {
        key: Bytes::from_static(key),
        value: value.map(Bytes::from_static),
    }
}
