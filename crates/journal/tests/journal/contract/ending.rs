//! Starting and ending: one start, one end, and what is dropped with it.

use std::sync::Arc;

use bytes::Bytes;
use tripline_journal::{JournalError, Settled};
use tripline_model::{End, Ending, IllegalTransition, InvocationState};

use super::each;
use crate::support::*;

#[tokio::test]
async fn a_start_happens_once() {
    each(|s| async move {
        let id = accept(&*s.journal, "f", at(0)).await;
        assert_eq!(s.journal.start(id, at(1)).await, Ok(()));
        let again = IllegalTransition {
            from: InvocationState::Running,
            to: InvocationState::Running,
        };
        assert_eq!(
            s.journal.start(id, at(2)).await,
            Err(JournalError::Illegal(again))
        );
        assert_eq!(
            s.journal.get(id).await.unwrap().unwrap().started_at,
            Some(at(1))
        );
        let nobody = id_at(at(0));
        assert_eq!(
            s.journal.start(nobody, at(1)).await,
            Err(JournalError::NotFound(nobody))
        );
    })
    .await;
}

#[tokio::test]
async fn the_first_end_wins_and_drops_the_data() {
    each(|s| async move {
        let id = accept(&*s.journal, "f", at(0)).await;
        s.journal.start(id, at(1)).await.unwrap();
        let mut ending = Ending::new(End::Failed, at(2), "exit_code").because("it said 3");
        (ending.exit_code, ending.signal) = (Some(3), Some(9));
        (ending.result, ending.result_cut) = (Some(Bytes::from_static(b"r\0")), true);
        assert_eq!(s.journal.finish(id, ending.clone()).await, Ok(()));
        let late = s
            .journal
            .finish(id, Ending::new(End::Succeeded, at(3), "late"))
            .await;
        assert!(matches!(late, Err(JournalError::Illegal(_))), "{late:?}");
        let read = s.journal.get(id).await.unwrap().unwrap();
        assert_eq!(read.state, InvocationState::Ended(End::Failed));
        assert_eq!((read.ending, read.event.data), (Some(ending), None));
        assert_eq!(read.data_len, 4);
    })
    .await;
}

#[tokio::test]
async fn ends_that_the_state_does_not_allow_are_refused() {
    each(|s| async move {
        let id = accept(&*s.journal, "f", at(0)).await;
        let early = s
            .journal
            .finish(id, Ending::new(End::Succeeded, at(1), "x"))
            .await;
        assert!(matches!(early, Err(JournalError::Illegal(_))), "{early:?}");
        s.journal.start(id, at(1)).await.unwrap();
        let wrong = s
            .journal
            .finish(id, Ending::new(End::Cancelled, at(2), "x"))
            .await;
        assert!(matches!(wrong, Err(JournalError::Illegal(_))), "{wrong:?}");
        assert_eq!(
            s.journal.get(id).await.unwrap().unwrap().state,
            InvocationState::Running
        );
    })
    .await;
}

#[tokio::test]
async fn one_illegal_write_among_many_hurts_nobody_else() {
    each(|s| async move {
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(accept(&*s.journal, "f", at(0)).await);
        }
        s.journal.start(ids[7], at(1)).await.unwrap();
        let mut starts = tokio::task::JoinSet::new();
        for id in ids.clone() {
            let journal = s.journal.clone();
            starts.spawn(async move { (id, journal.start(id, at(1)).await) });
        }
        while let Some(done) = starts.join_next().await {
            let (id, answer) = done.unwrap();
            assert_eq!(answer.is_ok(), id != ids[7], "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn running_ones_are_lost_and_waiting_ones_stay() {
    each(|s| async move {
        let waiting = accept(&*s.journal, "f", at(0)).await;
        let mut running = Vec::new();
        for n in 0..5 {
            let id = accept(&*s.journal, if n % 2 == 0 { "f" } else { "g" }, at(n)).await;
            s.journal.start(id, at(9)).await.unwrap();
            running.push(id);
        }
        let held = Arc::new([running.remove(1), running.remove(3)].into());
        let lost = async || {
            let step = s.journal.lose_running(at(10), "hub_restarted", &held, 2);
            step.await.unwrap()
        };
        let (first, second, third) = (lost().await, lost().await, lost().await);
        assert_eq!((first.len(), second.len(), third.len()), (2, 1, 0));
        assert_eq!([first, second].concat(), running);
        for id in held.iter() {
            let read = s.journal.get(*id).await.unwrap().unwrap();
            assert_eq!(read.state, InvocationState::Running);
        }
        let read = s.journal.get(running[0]).await.unwrap().unwrap();
        assert_eq!(
            read.ending,
            Some(Ending::new(End::Lost, at(10), "hub_restarted"))
        );
        assert_eq!(read.event.data, None);
        let read = s.journal.get(waiting).await.unwrap().unwrap();
        assert_eq!(read.state, InvocationState::Accepted);
    })
    .await;
}

#[tokio::test]
async fn old_ones_expire_and_all_of_a_function_are_cancelled() {
    each(|s| async move {
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(accept(&*s.journal, "f", at(n)).await);
        }
        let other = accept(&*s.journal, "g", at(0)).await;
        s.journal.start(ids[0], at(7)).await.unwrap();
        let f = function("f");
        let expired = s.journal.expire(&f, at(3), at(8), 10).await;
        assert_eq!(expired, Ok(ids[1..3].to_vec()));
        assert_eq!(s.journal.expire(&f, at(3), at(8), 10).await, Ok(vec![]));
        let cancelled = s.journal.cancel_all(&f, at(9), "function_removed", 2).await;
        assert_eq!(cancelled, Ok(ids[3..5].to_vec()));
        let rest = s.journal.cancel_all(&f, at(9), "function_removed", 2).await;
        assert_eq!(rest, Ok(ids[5..].to_vec()));
        let state = async |id| s.journal.get(id).await.unwrap().unwrap().state;
        assert_eq!(state(ids[0]).await, InvocationState::Running);
        assert_eq!(state(ids[1]).await, InvocationState::Ended(End::Expired));
        assert_eq!(state(ids[5]).await, InvocationState::Ended(End::Cancelled));
        assert_eq!(state(other).await, InvocationState::Accepted);
    })
    .await;
}

#[tokio::test]
async fn what_is_whole_is_not_cancelled_as_damaged() {
    each(|s| async move {
        let id = accept(&*s.journal, "f", at(0)).await;
        let read = s.journal.get(id).await.unwrap().unwrap();
        assert_eq!(read.state, InvocationState::Accepted);
        assert!(read.event.data.is_some());
        let whole = Settled::Whole(Box::new(read.clone()));
        for (queue, one, expected) in [
            ("f", id, whole),
            ("g", id, Settled::NotThere),
            ("f", id_at(at(0)), Settled::NotThere),
        ] {
            let settled = s.journal.cancel_damaged(&function(queue), one, at(1)).await;
            assert_eq!(settled, Ok(expected));
        }
        assert_eq!(s.journal.get(id).await, Ok(Some(read)));
    })
    .await;
}
