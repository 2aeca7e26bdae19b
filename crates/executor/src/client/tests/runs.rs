//! What passes between a hub and one executor.

use bytes::Bytes;
use tripline_model::LogStream;

use super::{held, id, joined, outcome, soon, start};
use crate::client::{ClientError, RunEvent};
use crate::protocol::{FromExecutor, LineHead, StopHow, ToExecutor};

#[tokio::test]
async fn a_run_from_its_start_to_its_end() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, _scripted, mut peer) = joined(data.path(), Vec::new()).await;
    let run = id(1).to_string();
    let mut started = client
        .start(start(1), Bytes::from_static(b"event"))
        .await
        .unwrap();
    assert_eq!(peer.receive_start(&run).await, "event");
    client.stop(id(1), StopHow::Graceful);
    peer.receive_stop(&run, StopHow::Graceful).await;
    assert_eq!(client.held().len(), 1);

    // An earlier build says this, and the hub has no use for it.
    peer.send_lines(&run, 1, &["one", "", "three\u{ff}"]).await;
    let (result, reclaimed) = (b"result", false);
    let ended = FromExecutor::Ended {
        run: run.clone(),
        outcome: outcome(),
        reclaimed,
    };
    peer.send_all(ended, result).await;
    let RunEvent::Lines(lines) = soon(started.next()).await else {
        panic!("no lines");
    };
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.number, line.text.as_ref()))
        .collect();
    assert_eq!(
        told,
        [(1, &b"one"[..]), (2, b""), (3, "three\u{ff}".as_bytes())]
    );
    assert_eq!(
        (lines[0].stream, lines[0].at.as_millis()),
        (LogStream::Stdout, 7)
    );
    client.kept(id(1), 3);
    assert_eq!(
        peer.receive().await,
        ToExecutor::Kept {
            run: run.clone(),
            line: 3
        }
    );
    let result = Bytes::from_static(result);
    let ended = RunEvent::Ended {
        outcome: outcome(),
        result,
        reclaimed,
    };
    assert_eq!(soon(started.next()).await, ended);

    client.forget(id(1));
    assert_eq!(
        peer.receive().await,
        ToExecutor::Forget { run: run.clone() }
    );
    assert!(client.held().is_empty());
    peer.send(FromExecutor::Reclaimed { run }).await;
    assert_eq!(soon(started.next()).await, RunEvent::Reclaimed);
}

#[tokio::test]
async fn a_run_is_never_started_twice() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, _scripted, _peer) = joined(data.path(), vec![held(2, false)]).await;
    let _run = client.start(start(1), Bytes::new()).await.unwrap();
    for number in [1, 2] {
        let error = client
            .start(start(number), Bytes::new())
            .await
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("it was started before"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_event_that_fits_no_frame_harms_nobody_else() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, _scripted, mut peer) = joined(data.path(), Vec::new()).await;
    let huge = Bytes::from(vec![0; 70 << 20]);
    let error = client.start(start(1), huge).await.err().unwrap();
    assert!(matches!(error, ClientError::Unsayable { .. }), "{error}");
    let mut wordy = start(2);
    wordy.remarks = vec!["r".repeat(10 << 20)];
    let large = Bytes::from(vec![0; 63 << 20]);
    let error = client.start(wordy, large).await.err().unwrap();
    assert!(error.to_string().contains("a frame of"), "{error}");
    assert!(client.held().is_empty());
    let _run = client.start(start(3), Bytes::new()).await.unwrap();
    peer.receive_start(&id(3).to_string()).await;
}

#[tokio::test]
async fn a_run_that_is_let_go_can_be_taken_up_again() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, mut peer) = joined(data.path(), vec![held(1, false)]).await;
    let run = id(1).to_string();
    assert!(client.attach(id(2), 0).await.is_none(), "nobody holds it");
    let first = client.attach(id(1), 0).await.unwrap();
    assert!(client.attach(id(1), 0).await.is_none(), "somebody has it");
    peer.receive_attach(&run, 0).await;
    drop(first);
    // On its way for the first; line 1 and 2 were not kept.
    peer.send_lines(&run, 3, &["three"]).await;

    let mut second = client.attach(id(1), 0).await.unwrap();
    let mut peer = scripted.welcome(super::RELEASE, vec![held(1, false)]).await;
    peer.receive_attach(&run, 0).await;
    peer.send_lines(&run, 1, &["one", "two", "three"]).await;
    let RunEvent::Lines(lines) = soon(second.next()).await else {
        panic!("no lines");
    };
    assert_eq!(
        lines.iter().map(|line| line.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_not_the_runs() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, mut peer) = joined(data.path(), vec![held(1, false)]).await;
    let run = id(1).to_string();
    let _run = client.attach(id(1), 0).await.unwrap();
    let line = |stream: &str, len| LineHead {
        stream: stream.to_owned(),
        at_ms: 1,
        len,
        complete: true,
    };
    let lines = |first, line| FromExecutor::Lines {
        run: run.clone(),
        first,
        lines: vec![line],
    };
    for nonsense in [
        lines(1, line("stdout", 100)),
        lines(1, line("stdout", 1)),
        lines(1, line("std\x1bout", 3)),
        lines(u64::MAX, line("stdout", 3)),
        FromExecutor::Welcome(scripted.greeting("1", Vec::new())),
        FromExecutor::Reclaimed {
            run: "../../x".to_owned(),
        },
    ] {
        peer.send_all(nonsense, b"abc").await;
        peer.hung_up().await;
        peer = scripted.welcome(super::RELEASE, vec![held(1, false)]).await;
        peer.receive_attach(&run, 0).await;
    }
}

#[tokio::test]
async fn one_that_sends_too_far_ahead_is_cut_off() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, mut peer) = joined(data.path(), vec![held(1, false)]).await;
    let run = id(1).to_string();
    let mut attached = client.attach(id(1), 0).await.unwrap();
    for number in 1..=100 {
        // The hub hangs up in the middle.
        let _ = peer.try_send_lines(&run, number, &["x"]).await;
    }
    peer.hung_up().await;
    let mut peer = scripted.welcome(super::RELEASE, vec![held(1, false)]).await;
    peer.receive_attach(&run, 0).await;
    peer.send_lines(&run, 1, &["x", "x"]).await;
    let RunEvent::Lines(lines) = soon(attached.next()).await else {
        panic!("no lines");
    };
    assert_eq!(lines.len(), 2, "nothing is told twice or left out");
}

#[tokio::test]
async fn executors_without_runs_end_with_the_hub() {
    let data = tempfile::tempdir().unwrap();
    let (executors, client, scripted, mut peer) = joined(data.path(), vec![held(1, true)]).await;
    let path = scripted.path.clone();
    client.forget(id(1));
    let ends = async {
        assert_eq!(
            peer.receive().await,
            ToExecutor::Forget {
                run: id(1).to_string()
            }
        );
        assert_eq!(peer.receive().await, ToExecutor::Retire);
        drop((peer, scripted));
    };
    soon(async { tokio::join!(executors.close(), ends) }).await;
    assert!(!path.exists());
    let error = client.start(start(1), Bytes::new()).await.err().unwrap();
    assert!(matches!(error, ClientError::Closed), "{error}");
}

#[tokio::test]
async fn executors_with_runs_outlive_the_hub() {
    let data = tempfile::tempdir().unwrap();
    let (executors, client, scripted, mut peer) = joined(data.path(), Vec::new()).await;
    let _run = client.start(start(1), Bytes::new()).await.unwrap();
    soon(executors.close()).await;
    peer.receive_start(&id(1).to_string()).await;
    // Nothing more is said.
    peer.hung_up().await;
    assert!(scripted.path.exists());
}
