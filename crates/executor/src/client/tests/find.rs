//! Finding executors: joining the living, sweeping the dead.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::{NO_PROGRAM, RELEASE, Scripted, config, held, id, joined, soon};
use crate::client::{ClientError, Executors};
use crate::protocol::{FromExecutor, Refusal, ToExecutor, Versions};
use crate::tests::{as_nobody, is_root, open_to_all};

/// A process that an executor would have started.
pub(super) fn marked(executor: &str) -> Child {
    let mut command = Command::new("sleep");
    command
        .arg("600")
        .env("TRIPLINE_EXECUTOR", executor)
        .process_group(0);
    command.spawn().unwrap()
}

#[tokio::test]
async fn one_of_this_release_is_used_and_no_other_started() {
    let data = tempfile::tempdir().unwrap();
    let (_executors, client, _scripted, mut peer) =
        joined(data.path(), vec![held(1, false), held(2, true)]).await;
    let mut runs = client.held();
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    assert_eq!(runs, [held(1, false), held(2, true)]);
    assert_eq!(client.level(), "the level");
    client.declare(Vec::new());
    assert_eq!(
        peer.receive().await,
        ToExecutor::Declare {
            functions: Vec::new()
        }
    );
}

#[tokio::test]
async fn others_retire_and_keep_their_runs() {
    let data = tempfile::tempdir().unwrap();
    let (old, new) = (Scripted::new(data.path()), Scripted::new(data.path()));
    let (executors, mut old_peer, mut new_peer) = tokio::join!(
        Executors::start(config(data.path())),
        old.welcome("1.0.0", vec![held(1, false)]),
        new.welcome(RELEASE, Vec::new())
    );
    let client = executors.as_ref().unwrap().client();
    assert_eq!(old_peer.receive().await, ToExecutor::Retire);
    let _run = client.attach(id(1), 5).await.unwrap();
    old_peer.receive_attach(&id(1).to_string(), 5).await;
    client.declare(Vec::new());
    assert_eq!(
        new_peer.receive().await,
        ToExecutor::Declare {
            functions: Vec::new()
        }
    );
}

#[tokio::test]
async fn one_that_was_told_to_retire_is_not_used() {
    let data = tempfile::tempdir().unwrap();
    let retired = Scripted::new(data.path());
    let mut greeting = retired.greeting(RELEASE, vec![held(1, false)]);
    greeting.retired = true;
    let (executors, ()) = tokio::join!(
        Executors::start(config(data.path())),
        retired.answer(FromExecutor::Welcome(greeting))
    );
    let error = executors.err().unwrap().to_string();
    assert!(error.contains(NO_PROGRAM), "a new one is started: {error}");
}

#[tokio::test]
async fn the_dead_are_swept_before_anything_starts() {
    let data = tempfile::tempdir().unwrap();
    let scripted = Scripted::new(data.path());
    let (path, executor) = (scripted.path.clone(), scripted.id.clone());
    let mut function = marked(&executor);
    let mut other = marked("another executor");
    std::fs::create_dir_all(path.join("scratch/f/run")).unwrap();
    std::fs::create_dir(data.path().join("executors/not-an-id")).unwrap();
    drop(scripted);

    let error = soon(Executors::start(config(data.path())))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, ClientError::Program { .. }), "{error}");
    assert!(!path.exists());
    assert!(data.path().join("executors/not-an-id").exists());
    assert_eq!(
        other.try_wait().unwrap(),
        None,
        "only the marked are killed"
    );
    assert!(!function.wait().unwrap().success());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn a_refusal_explains_both_sides() {
    let data = tempfile::tempdir().unwrap();
    let old = Scripted::new(data.path());
    let versions = Versions { from: 7, to: 9 };
    let (release, why) = ("0.9.0".to_owned(), "no common version".to_owned());
    let refusal = FromExecutor::Refused(Refusal {
        versions,
        release,
        why,
    });
    let (executors, ()) = tokio::join!(Executors::start(config(data.path())), old.answer(refusal));
    let error = executors.err().unwrap().to_string();
    let pid = std::process::id();
    for part in [
        format!("process {pid}, release 0.9.0"),
        "versions 7 to 9".to_owned(),
        "this hub (release 2.0.0) speaks 1 to 1".to_owned(),
        "start a hub of a release that speaks both".to_owned(),
        format!("kill process {pid}: its invocations become lost"),
    ] {
        assert!(error.contains(&part), "`{part}` in: {error}");
    }
    assert!(old.path.exists(), "a living one is left alone");
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_is_named() {
    let data = tempfile::tempdir().unwrap();
    let silent = Scripted::new(data.path());
    let error = Executors::start(config(data.path())).await.err().unwrap();
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    let named = format!("executor {} (process {})", silent.id, std::process::id());
    assert!(error.to_string().contains(&named), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_is_asked_again() {
    let data = tempfile::tempdir().unwrap();
    let slow = Scripted::new(data.path());
    let (executors, _peer) = tokio::join!(Executors::start(config(data.path())), async {
        slow.accept().await.hung_up().await;
        slow.welcome(RELEASE, Vec::new()).await
    });
    executors.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_just_ending_is_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let scripted = Scripted::new(data.path());
    let path = scripted.path.clone();
    let lock = scripted.close_socket();
    let (executors, ()) = tokio::join!(Executors::start(config(data.path())), async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        drop(lock);
    });
    let error = executors.err().unwrap();
    assert!(
        matches!(error, ClientError::Program { .. }),
        "a new one is started: {error}"
    );
    assert!(!path.exists());
}

#[tokio::test(start_paused = true)]
async fn one_that_never_lets_the_hub_in_is_named() {
    let data = tempfile::tempdir().unwrap();
    let scripted = Scripted::new(data.path());
    let id = scripted.id.clone();
    let _lock = scripted.close_socket();
    let error = Executors::start(config(data.path())).await.err().unwrap();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&id), "{error}");
}

#[tokio::test]
async fn one_of_another_user_is_not_spoken_to() {
    if !is_root("an executor of another user") {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let (path, id) = (data.path().join("executors"), Uuid::now_v7().to_string());
    let folder = path.join(&id);
    std::fs::create_dir_all(&folder).unwrap();
    for path in [data.path(), &path, &folder] {
        open_to_all(path);
    }
    let lock = File::create(folder.join("lock")).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let socket = folder.join("socket");
    let _listener = as_nobody(|| std::os::unix::net::UnixListener::bind(socket).unwrap());
    let error = soon(Executors::start(config(data.path()))).await.err();
    let error = error.unwrap();
    assert!(matches!(error, ClientError::WrongUser { .. }), "{error}");
}

#[tokio::test]
async fn one_with_another_name_is_not_believed() {
    let data = tempfile::tempdir().unwrap();
    let scripted = Scripted::new(data.path());
    let mut greeting = scripted.greeting(RELEASE, Vec::new());
    greeting.executor = "somebody\x1b[2J".to_owned();
    let (executors, ()) = tokio::join!(
        Executors::start(config(data.path())),
        scripted.answer(FromExecutor::Welcome(greeting))
    );
    let error = executors.err().unwrap().to_string();
    assert!(error.contains("calls itself somebody\\u{1b}[2J"), "{error}");
}

#[tokio::test]
async fn a_long_path_is_no_obstacle() {
    let data = tempfile::tempdir().unwrap();
    let long = data.path().join("d".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let (_executors, client, _scripted, _peer) = joined(&long, vec![held(1, false)]).await;
    assert_eq!(client.held().len(), 1);
}
