use std::process::ExitStatus;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::TEST_TIMEOUT;
use crate::worker::event_slot::{Answer, Dialect, Event, EventSlot, OutOfTurn, Report, SlotState};

fn event(id: &str) -> Arc<Event> {
    Arc::new(Event {
        id: id.to_owned(),
        data: Bytes::from_static(b"{}"),
        deadline_ms: 1,
        deadline: Instant::now(),
        max_answer_bytes: 10,
        traceparent: None,
    })
}

fn response(text: &'static str) -> Answer {
    Answer::Response(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn an_event_is_taken_once_and_only_its_first_answer_counts() {
    let event_slot = EventSlot::new(None);
    assert_eq!(event_slot.state(), SlotState::Starting);
    event_slot.offer(event("a"));
    assert_eq!(event_slot.state(), SlotState::Offered);
    let taken = event_slot.take(Dialect::Aws).await.unwrap();
    assert_eq!(
        (taken.id.as_str(), event_slot.state()),
        ("a", SlotState::Taken)
    );
    assert_eq!(event_slot.take(Dialect::Aws).await.unwrap_err(), OutOfTurn);
    assert!(event_slot.current(Some("b")).is_err());
    let current = event_slot.current(Some("a")).unwrap();
    assert_eq!(event_slot.answer(&current, response("one")), Ok(()));
    assert_eq!(event_slot.answer(&current, response("two")), Err(OutOfTurn));
    assert!(event_slot.current(Some("a")).is_err());
    assert_eq!(event_slot.state(), SlotState::Answered);
    assert_eq!(event_slot.clear(), Ok(response("one")));
    assert_eq!(event_slot.state(), SlotState::Free);
}

#[tokio::test]
async fn what_a_dead_instance_left_running_gets_nothing() {
    for dialect in [Dialect::Aws, Dialect::Scf] {
        let event_slot = EventSlot::new(None);
        event_slot.offer(event("a"));
        event_slot.exited(ExitStatus::default());
        assert_eq!(event_slot.take(dialect).await.unwrap_err(), OutOfTurn);
        assert!(event_slot.withdraw());
        assert_eq!(event_slot.clear(), Err(false));
    }
    let event_slot = EventSlot::new(None);
    event_slot.offer(event("a"));
    event_slot.take(Dialect::Aws).await.unwrap();
    event_slot.exited(ExitStatus::default());
    assert!(!event_slot.withdraw(), "it was taken");
    assert_eq!(event_slot.clear(), Err(true));
}

#[tokio::test]
async fn scf_gives_the_same_event_again_until_it_is_answered() {
    let event_slot = EventSlot::new(None);
    event_slot.offer(event("a"));
    for _ in 0..2 {
        assert_eq!(event_slot.take(Dialect::Scf).await.unwrap().id, "a");
    }
    let current = event_slot.current(None).unwrap();
    event_slot.answer(&current, response("x")).unwrap();
    assert!(event_slot.current(None).is_err());
}

#[tokio::test]
async fn of_two_who_wait_one_gets_the_event_and_the_other_the_next() {
    let event_slot = Arc::new(EventSlot::new(None));
    let tasks = TaskTracker::new();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let event_slot = event_slot.clone();
            tasks.spawn(async move {
                let event = event_slot.take(Dialect::Scf).await.unwrap();
                event_slot.answer(&event, response("done")).unwrap();
                event.id.clone()
            })
        })
        .collect();
    let mut seen = Vec::new();
    for id in ["a", "b"] {
        event_slot.offer(event(id));
        while event_slot.state() != SlotState::Answered {
            tokio::time::timeout(TEST_TIMEOUT, event_slot.changed())
                .await
                .unwrap();
        }
        event_slot.clear().unwrap();
    }
    for task in waiting {
        seen.push(task.await.unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["a", "b"]);
}

#[tokio::test]
async fn an_answer_to_an_event_before_is_no_answer_to_this_one() {
    let event_slot = EventSlot::new(None);
    event_slot.offer(event("same"));
    let before = event_slot.take(Dialect::Scf).await.unwrap();
    event_slot.clear().unwrap_err();
    event_slot.offer(event("same"));
    assert_eq!(event_slot.answer(&before, response("late")), Err(OutOfTurn));
    event_slot.take(Dialect::Scf).await.unwrap();
    assert_eq!(event_slot.answer(&before, response("late")), Err(OutOfTurn));
}

#[tokio::test]
async fn an_init_error_counts_until_the_first_event_is_asked_for() {
    let report = || Report {
        kind: "Import".to_owned(),
        message: "no module".to_owned(),
        body: Bytes::new(),
    };
    let event_slot = EventSlot::new(None);
    event_slot.fail_init(report()).unwrap();
    assert_eq!(event_slot.state(), SlotState::InitFailed);
    assert_eq!(event_slot.init_error(), Some(report()));

    let event_slot = EventSlot::new(None);
    event_slot.offer(event("a"));
    event_slot.take(Dialect::Aws).await.unwrap();
    assert_eq!(event_slot.fail_init(report()), Err(OutOfTurn));
    assert_eq!(event_slot.state(), SlotState::Taken);
}
