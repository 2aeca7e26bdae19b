//! A connection that breaks while the executor lives.

use bytes::Bytes;

use super::{RELEASE, held, id, joined, outcome, soon, start};
use crate::client::RunEvent;
use crate::protocol::{FromExecutor, StopHow, ToExecutor};

#[tokio::test]
async fn runs_go_on_after_the_last_kept_line() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, mut peer) = joined(data.path(), Vec::new()).await;
    client.declare(Vec::new());
    let run = id(1).to_string();
    let mut started = client.start(start(1), Bytes::new()).await.unwrap();
    assert_eq!(
        peer.receive().await,
        ToExecutor::Declare {
            functions: Vec::new()
        }
    );
    peer.receive_start(&run).await;
    peer.send_lines(&run, 1, &["one", "two"]).await;
    peer.send_lines(&run, 3, &["three"]).await;
    assert!(matches!(soon(started.next()).await, RunEvent::Lines(lines) if lines.len() == 2));
    client.kept(id(1), 1);
    assert_eq!(
        peer.receive().await,
        ToExecutor::Kept {
            run: run.clone(),
            line: 1
        }
    );
    drop(peer);

    client.stop(id(1), StopHow::Graceful);
    let mut peer = scripted.welcome(RELEASE, vec![held(1, false)]).await;
    assert_eq!(
        peer.receive().await,
        ToExecutor::Declare {
            functions: Vec::new()
        }
    );
    peer.receive_attach(&run, 1).await;
    peer.receive_stop(&run, StopHow::Graceful).await;
    peer.send_lines(&run, 2, &["two", "three", "four"]).await;
    let reclaimed = true;
    let ended = FromExecutor::Ended {
        run,
        outcome: outcome(),
        reclaimed,
    };
    peer.send_all(ended, b"").await;
    let RunEvent::Lines(lines) = soon(started.next()).await else {
        panic!("no lines");
    };
    assert_eq!(
        lines.iter().map(|line| line.number).collect::<Vec<_>>(),
        [3, 4]
    );
    let ended = RunEvent::Ended {
        outcome: outcome(),
        result: Bytes::new(),
        reclaimed,
    };
    assert_eq!(soon(started.next()).await, ended);
}

#[tokio::test]
async fn a_run_that_the_executor_never_heard_of_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, peer) = joined(data.path(), Vec::new()).await;
    let mut started = client.start(start(1), Bytes::new()).await.unwrap();
    drop(peer);
    let mut peer = scripted.welcome(RELEASE, Vec::new()).await;
    assert!(
        matches!(soon(started.next()).await, RunEvent::Lost { why, .. } if why.contains(&scripted.id))
    );
    assert!(client.held().is_empty());
    let _next = client.start(start(2), Bytes::new()).await.unwrap();
    peer.receive_start(&id(2).to_string()).await;
}

#[tokio::test]
async fn a_start_waits_for_the_connection() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, peer) = joined(data.path(), vec![held(9, false)]).await;
    drop(peer);
    // The new connection is not welcomed yet.
    let mut peer = scripted.accept().await;
    let (started, ()) = tokio::join!(client.start(start(1), Bytes::from_static(b"data")), async {
        let greeting = scripted.greeting(RELEASE, vec![held(9, false)]);
        peer.send(FromExecutor::Welcome(greeting)).await;
        assert_eq!(peer.receive_start(&id(1).to_string()).await, "data");
    });
    assert_eq!(started.unwrap().id(), id(1));
}

#[tokio::test]
async fn a_retired_one_is_told_so_again() {
    let data = tempfile::tempdir().unwrap();
    let (old, new) = (
        super::Scripted::new(data.path()),
        super::Scripted::new(data.path()),
    );
    let (executors, mut peer, _new_peer) = tokio::join!(
        crate::client::Executors::start(super::config(data.path())),
        old.welcome("1.0.0", vec![held(1, false)]),
        new.welcome(RELEASE, Vec::new())
    );
    let _executors = executors.unwrap();
    assert_eq!(peer.receive().await, ToExecutor::Retire);
    drop(peer);
    let mut peer = old.welcome("1.0.0", vec![held(1, false)]).await;
    assert_eq!(peer.receive().await, ToExecutor::Retire);
}

#[tokio::test]
async fn a_reclaiming_that_was_missed_is_told() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, mut peer) = joined(data.path(), vec![held(1, false)]).await;
    let run = id(1).to_string();
    let mut attached = client.attach(id(1), 0).await.unwrap();
    peer.receive_attach(&run, 0).await;
    let ended = FromExecutor::Ended {
        run: run.clone(),
        outcome: outcome(),
        reclaimed: false,
    };
    peer.send(ended).await;
    assert!(matches!(
        soon(attached.next()).await,
        RunEvent::Ended { .. }
    ));
    client.forget(id(1));
    assert_eq!(peer.receive().await, ToExecutor::Forget { run });
    drop(peer);
    // Meanwhile nothing of it is alive any more, and the executor has dropped it.
    let _peer = scripted.welcome(RELEASE, Vec::new()).await;
    assert_eq!(soon(attached.next()).await, RunEvent::Reclaimed);
}
