use std::process::ExitStatus;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::PATIENCE;
use crate::worker::desk::{Answer, Desk, Dialect, Event, Look, OutOfTurn, Report};

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
    let desk = Desk::new(None);
    assert_eq!(desk.look(), Look::Starting);
    desk.offer(event("a"));
    assert_eq!(desk.look(), Look::Offered);
    let taken = desk.take(Dialect::Aws).await.unwrap();
    assert_eq!((taken.id.as_str(), desk.look()), ("a", Look::Taken));
    assert_eq!(desk.take(Dialect::Aws).await.unwrap_err(), OutOfTurn);
    assert!(desk.current(Some("b")).is_err());
    let current = desk.current(Some("a")).unwrap();
    assert_eq!(desk.answer(&current, response("one")), Ok(()));
    assert_eq!(desk.answer(&current, response("two")), Err(OutOfTurn));
    assert!(desk.current(Some("a")).is_err());
    assert_eq!(desk.look(), Look::Answered);
    assert_eq!(desk.clear(), Ok(response("one")));
    assert_eq!(desk.look(), Look::Free);
}

#[tokio::test]
async fn what_a_dead_instance_left_running_gets_nothing() {
    for dialect in [Dialect::Aws, Dialect::Scf] {
        let desk = Desk::new(None);
        desk.offer(event("a"));
        desk.exited(ExitStatus::default());
        assert_eq!(desk.take(dialect).await.unwrap_err(), OutOfTurn);
        assert!(desk.withdraw());
        assert_eq!(desk.clear(), Err(false));
    }
    let desk = Desk::new(None);
    desk.offer(event("a"));
    desk.take(Dialect::Aws).await.unwrap();
    desk.exited(ExitStatus::default());
    assert!(!desk.withdraw(), "it was taken");
    assert_eq!(desk.clear(), Err(true));
}

#[tokio::test]
async fn scf_gives_the_same_event_again_until_it_is_answered() {
    let desk = Desk::new(None);
    desk.offer(event("a"));
    for _ in 0..2 {
        assert_eq!(desk.take(Dialect::Scf).await.unwrap().id, "a");
    }
    let current = desk.current(None).unwrap();
    desk.answer(&current, response("x")).unwrap();
    assert!(desk.current(None).is_err());
}

#[tokio::test]
async fn of_two_who_wait_one_gets_the_event_and_the_other_the_next() {
    let desk = Arc::new(Desk::new(None));
    let tasks = TaskTracker::new();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let desk = desk.clone();
            tasks.spawn(async move {
                let event = desk.take(Dialect::Scf).await.unwrap();
                desk.answer(&event, response("done")).unwrap();
                event.id.clone()
            })
        })
        .collect();
    let mut seen = Vec::new();
    for id in ["a", "b"] {
        desk.offer(event(id));
        while desk.look() != Look::Answered {
            tokio::time::timeout(PATIENCE, desk.news()).await.unwrap();
        }
        desk.clear().unwrap();
    }
    for task in waiting {
        seen.push(task.await.unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["a", "b"]);
}

#[tokio::test]
async fn an_answer_to_an_event_before_is_no_answer_to_this_one() {
    let desk = Desk::new(None);
    desk.offer(event("same"));
    let before = desk.take(Dialect::Scf).await.unwrap();
    desk.clear().unwrap_err();
    desk.offer(event("same"));
    assert_eq!(desk.answer(&before, response("late")), Err(OutOfTurn));
    desk.take(Dialect::Scf).await.unwrap();
    assert_eq!(desk.answer(&before, response("late")), Err(OutOfTurn));
}

#[tokio::test]
async fn an_init_error_counts_until_the_first_event_is_asked_for() {
    let report = || Report {
        kind: "Import".to_owned(),
        message: "no module".to_owned(),
        body: Bytes::new(),
    };
    let desk = Desk::new(None);
    desk.fail_init(report()).unwrap();
    assert_eq!(desk.look(), Look::InitFailed);
    assert_eq!(desk.init_error(), Some(report()));

    let desk = Desk::new(None);
    desk.offer(event("a"));
    desk.take(Dialect::Aws).await.unwrap();
    assert_eq!(desk.fail_init(report()), Err(OutOfTurn));
    assert_eq!(desk.look(), Look::Taken);
}
