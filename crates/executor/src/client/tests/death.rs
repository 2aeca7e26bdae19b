//! Executors that die while the hub lives.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::find::marked;
use super::{NO_PROGRAM, RELEASE, Scripted, config, held, id, joined, soon, start};
use crate::client::shared::Shared;
use crate::client::{ClientError, Executors, RunEvent};

#[tokio::test]
async fn runs_are_lost_once_everything_was_swept() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, peer) =
        joined(data.path(), vec![held(1, false), held(2, false)]).await;
    let mut attached = client.attach(id(1), 0).await.unwrap();
    let (path, mut function) = (scripted.path.clone(), marked(&scripted.id));
    let named = format!(
        "executor {} (process {}) died",
        scripted.id,
        std::process::id()
    );
    drop((peer, scripted));
    let lost = RunEvent::Lost {
        why: named,
        reclaimed: true,
    };
    assert_eq!(soon(attached.next()).await, lost);
    assert!(!path.exists());
    assert!(
        function.try_wait().unwrap().is_some(),
        "it was killed before"
    );
    assert!(client.held().is_empty());
    assert!(client.attach(id(2), 0).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_ended_is_swept_until_it_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, scripted, peer) = joined(data.path(), vec![held(1, false)]).await;
    let mut attached = client.attach(id(1), 0).await.unwrap();
    let path = scripted.path.clone();
    // What is on record cannot be read for now.
    std::fs::create_dir(path.join("cgroups")).unwrap();
    drop((peer, scripted));
    let RunEvent::Lost { why, reclaimed } = soon(attached.next()).await else {
        panic!("not lost");
    };
    assert!(
        !reclaimed && why.contains("its control groups cannot be emptied"),
        "{why}"
    );
    assert!(path.exists());
    std::fs::remove_dir(path.join("cgroups")).unwrap();
    assert_eq!(soon(attached.next()).await, RunEvent::Reclaimed);
    assert!(!path.exists());
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_life_could_not_end_is_swept_until_it_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let (dead, living) = (Scripted::new(data.path()), Scripted::new(data.path()));
    let path = dead.path.clone();
    std::fs::create_dir(path.join("cgroups")).unwrap();
    drop(dead);
    let (executors, _peer) = tokio::join!(
        Executors::start(config(data.path())),
        living.welcome(RELEASE, Vec::new())
    );
    let _executors = executors.unwrap();
    assert!(path.exists());
    std::fs::remove_dir(path.join("cgroups")).unwrap();
    let gone = async {
        while path.exists() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon(gone).await;
}

#[tokio::test(start_paused = true)]
async fn starts_wait_for_another_executor_but_not_for_ever() {
    let data = tempfile::tempdir().unwrap();
    let (executors, client, scripted, peer) = joined(data.path(), Vec::new()).await;
    drop((peer, scripted));
    let mut current = executors.shared.current.subscribe();
    current.wait_for(Option::is_none).await.unwrap();
    let before = Instant::now();
    let error = client.start(start(1), Bytes::new()).await.err().unwrap();
    assert!(matches!(error, ClientError::NoExecutor { .. }), "{error}");
    assert!(error.to_string().contains(NO_PROGRAM), "{error}");
    assert!(before.elapsed() >= Duration::from_secs(30));
    assert!(client.held().is_empty());
    assert!(client.level().contains(NO_PROGRAM), "{}", client.level());
}

#[tokio::test(start_paused = true)]
async fn replacements_wait_longer_and_longer() {
    let data = tempfile::tempdir().unwrap();
    let shared = Shared::new(config(data.path()));
    let waits: Vec<_> = (0..11).map(|_| shared.delay().as_millis()).collect();
    let doubled = [
        100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000,
    ];
    assert_eq!(waits, doubled);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(shared.delay().as_millis(), 100, "the last one was sound");
}

#[tokio::test]
async fn a_retired_one_ends_without_a_replacement() {
    let data = tempfile::tempdir().unwrap();
    let (old, new) = (
        super::Scripted::new(data.path()),
        super::Scripted::new(data.path()),
    );
    let (executors, old_peer, mut new_peer) = tokio::join!(
        Executors::start(config(data.path())),
        old.welcome("1.0.0", Vec::new()),
        new.welcome(super::RELEASE, Vec::new())
    );
    let executors = executors.unwrap();
    let shared = Arc::clone(&executors.shared);
    drop((old_peer, old));
    let mut links = shared.links.subscribe();
    soon(links.wait_for(|links| links.len() == 1))
        .await
        .unwrap();
    assert_eq!(
        shared.trouble(),
        "none was started yet",
        "nothing was wrong with the current one"
    );
    let _run = executors
        .client()
        .start(start(1), Bytes::new())
        .await
        .unwrap();
    new_peer.receive_start(&id(1).to_string()).await;
}
