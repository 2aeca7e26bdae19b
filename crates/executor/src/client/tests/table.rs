//! What is to be said is kept as state.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{held, id, outcome, start};
use crate::client::RunEvent;
use crate::client::table::Table;
use crate::protocol::{Credentials, StopHow, ToExecutor, Value};

fn take_messages(table: &mut Table) -> Vec<ToExecutor> {
    let messages = std::iter::from_fn(|| table.next())
        .map(|outgoing| outgoing.message)
        .collect();
    table.flushed();
    messages
}

fn run(number: u8) -> String {
    id(number).to_string()
}

fn credentials() -> Credentials {
    Credentials {
        access_key: "a".to_owned(),
        secret_key: Value::new("s"),
        session_token: Value::new("t"),
        expires_ms: 1,
    }
}

fn ended(reclaimed: bool) -> RunEvent {
    RunEvent::Ended {
        outcome: outcome(),
        result: Bytes::new(),
        reclaimed,
    }
}

#[test]
fn many_of_a_kind_are_one() {
    let mut table = Table::join(vec![(id(1), held(1, false))], false);
    table.attach(id(1), 3).unwrap();
    for line in 4..100 {
        table.kept(id(1), line);
    }
    let run = run(1);
    assert_eq!(
        take_messages(&mut table),
        [ToExecutor::Attach {
            run: run.clone(),
            after: 99
        }]
    );
    table.kept(id(1), 100);
    table.kept(id(1), 102);
    table.kept(id(1), 101);
    table.stop(id(1), StopHow::Kill("terminated".to_owned()));
    table.stop(id(1), StopHow::Graceful);
    let how = StopHow::Kill("terminated".to_owned());
    assert!(!table.is_settled());
    assert_eq!(
        take_messages(&mut table),
        [
            ToExecutor::Kept {
                run: run.clone(),
                line: 102
            },
            ToExecutor::Stop { run, how }
        ]
    );
    assert!(table.is_settled());
}

#[test]
fn a_stop_follows_the_start_of_its_run() {
    let mut table = Table::default();
    let (sender, _heard) = oneshot::channel();
    table.start(id(1), start(1), Bytes::new(), sender).unwrap();
    table.stop(id(1), StopHow::Graceful);
    table.declare(Vec::new().into());
    let messages = take_messages(&mut table);
    assert!(matches!(
        messages[..],
        [
            ToExecutor::Declare { .. },
            ToExecutor::Start(_),
            ToExecutor::Stop { .. }
        ]
    ));
}

#[test]
fn a_run_is_started_once() {
    let mut table = Table::default();
    let (sender, _heard) = oneshot::channel();
    let _inbox = table.start(id(1), start(1), Bytes::new(), sender).unwrap();
    let (sender, mut notified) = oneshot::channel();
    assert!(table.start(id(1), start(1), Bytes::new(), sender).is_none());
    assert!(notified.try_recv().is_err());
    assert_eq!(take_messages(&mut table).len(), 1);
    assert!(!table.take_back(id(1)), "it was said");
}

#[test]
fn a_retired_executor_is_given_nothing() {
    let mut table = Table::default();
    table.retire();
    let (sender, _heard) = oneshot::channel();
    assert!(table.start(id(1), start(1), Bytes::new(), sender).is_none());
    assert_eq!(take_messages(&mut table), [ToExecutor::Retire]);
}

#[test]
fn a_forgotten_run_is_there_until_nothing_of_it_is_alive() {
    let mut table = Table::join(vec![(id(1), held(1, false)), (id(2), held(2, true))], false);
    let inbox = table.attach(id(1), 0).unwrap();
    table.receive(id(1), &ended(false)).unwrap();
    table.forget(id(1));
    table.forget(id(2));
    let messages = take_messages(&mut table);
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(table.held().is_empty());
    assert!(table.holds(id(1)), "its reclaiming is to come");
    assert!(!table.holds(id(2)), "nobody waits for its reclaiming");
    assert!(table.receive(id(1), &RunEvent::Reclaimed).is_some());
    assert!(take_messages(&mut table).is_empty());
    assert!(!table.holds(id(1)));
    drop(inbox);
}

#[test]
fn after_a_new_connection_all_that_matters_is_said_again() {
    let known = vec![
        (id(1), held(1, false)),
        (id(2), held(2, false)),
        (id(3), held(3, true)),
    ];
    let mut table = Table::join(known, false);
    let _first = table.attach(id(1), 0).unwrap();
    table.kept(id(1), 7);
    table.stop(id(1), StopHow::Graceful);
    table.renew(id(1), credentials());
    table.forget(id(3));
    let (sender, _heard) = oneshot::channel();
    let _queued = table.start(id(4), start(4), Bytes::new(), sender).unwrap();
    table.declare(Vec::new().into());
    let before = take_messages(&mut table);
    assert!(!table.holds(id(3)));

    // Run 2 is gone, run 3 was not heard to be forgotten.
    let now = [
        (id(1), held(1, false)),
        (id(3), held(3, true)),
        (id(4), held(4, false)),
    ];
    assert_eq!(table.rejoin(&now).len(), 1);
    let again = take_messages(&mut table);
    assert_eq!(again.len(), 6, "{again:?}");
    for word in [
        ToExecutor::Declare {
            functions: Vec::new(),
        },
        ToExecutor::Attach {
            run: run(1),
            after: 7,
        },
        ToExecutor::Stop {
            run: run(1),
            how: StopHow::Graceful,
        },
        ToExecutor::Renew {
            run: run(1),
            credentials: credentials(),
        },
        ToExecutor::Forget { run: run(3) },
        ToExecutor::Attach {
            run: run(4),
            after: 0,
        },
    ] {
        assert!(again.contains(&word), "{word:?} in {again:?}");
    }
    assert!(
        before
            .iter()
            .any(|word| matches!(word, ToExecutor::Start(_)))
    );
}
