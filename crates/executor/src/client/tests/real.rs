//! Hubs that come and go around a real executor in a process of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;
use tripline_model::{ManualClock, Timestamp};

use super::launch::{folders, pid, rerun};
use super::{RELEASE, id, soon, start};
use crate::client::{Client, Executors, NumberedLine, Run, RunEvent};
use crate::protocol::{FunctionSpec, Isolation, Kind, Limits, Outcome, RunEnd, StopHow};
use crate::server::{ServeOptions, serve};

/// Where [`a_real_executor`] finds its directory.
const DIRECTORY: &str = "TRIPLINE_TEST_REAL_EXECUTOR";

/// An executor. Not a test: the tests below run it in processes of its own.
#[tokio::test]
async fn a_real_executor() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let options = ServeOptions {
        id: dir.file_name().unwrap().to_str().unwrap().to_owned(),
        dir,
        release: RELEASE.to_owned(),
        clock: Arc::new(ManualClock::at(Timestamp::from_millis(5))),
        shutdown: CancellationToken::new(),
    };
    serve(options).await.unwrap();
}

async fn hub(data_dir: &Path) -> (Executors, Client) {
    let config = rerun(data_dir, DIRECTORY, "real::a_real_executor");
    let executors = soon(Executors::start(config)).await.unwrap();
    let client = executors.client();
    (executors, client)
}

fn function(script: &str) -> FunctionSpec {
    FunctionSpec {
        name: "f".to_owned(),
        kind: Kind::Process,
        command: ["sh", "-c", script].map(str::to_owned).into(),
        env: [].into(),
        working_dir: PathBuf::from("/"),
        search_path: "/usr/bin:/bin".to_owned(),
        user: None,
        limits: Limits::default(),
        isolation: Isolation::BestEffort,
    }
}

/// Lines that the function wrote, until there are `count` or the run is over.
async fn lines(
    client: &Client,
    run: &mut Run,
    count: usize,
) -> (Vec<NumberedLine>, Option<Outcome>) {
    let mut all = Vec::new();
    while all.len() < count {
        match soon(run.next()).await {
            RunEvent::Reclaimed => {}
            RunEvent::Lines(lines) => {
                let last = lines.last().map_or(0, |line| line.number);
                all.extend(lines);
                client.kept(run.id(), last);
            }
            RunEvent::Ended { outcome, .. } => return (all, Some(outcome)),
            RunEvent::Lost { why, .. } => panic!("lost: {why}"),
        }
    }
    (all, None)
}

fn texts(lines: &[NumberedLine]) -> Vec<String> {
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(&line.text).into_owned())
        .collect()
}

#[tokio::test]
async fn a_run_goes_on_while_hubs_come_and_go() {
    let data = tempfile::tempdir().unwrap();
    let (first, client) = hub(data.path()).await;
    let go = tempfile::NamedTempFile::new().unwrap();
    let path = go.path().display();
    client.declare(vec![function(&format!(
        "cat >&2; echo one >&2; while [ -e {path} ]; do sleep 0.02; done; echo two >&2; echo three >&2"
    ))]);
    let mut run = soon(client.start(start(1), Bytes::from_static(b"data\n")))
        .await
        .unwrap();
    let (written, _) = lines(&client, &mut run, 2).await;
    assert_eq!(texts(&written), ["data", "one"]);
    let (pid_before, kept) = (pid(&first), written[1].number);
    drop((run, client));
    soon(first.close()).await;

    drop(go);
    let (second, client) = hub(data.path()).await;
    assert_eq!(pid(&second), pid_before, "the same executor is used");
    let [held] = &client.held()[..] else {
        panic!("it holds not one run");
    };
    assert_eq!(
        (held.run.as_str(), held.function.as_str()),
        (id(1).to_string().as_str(), "f")
    );
    let mut run = soon(client.attach(id(1), kept)).await.unwrap();
    let (written, outcome) = lines(&client, &mut run, usize::MAX).await;
    assert_eq!(texts(&written), ["two", "three"]);
    assert_eq!(outcome.unwrap().end, RunEnd::Succeeded);
    client.forget(id(1));
    soon(second.close()).await;
    assert!(folders(data.path()).is_empty(), "it ended with the hub");
}

#[tokio::test]
async fn a_killed_executor_takes_its_functions_along() {
    let data = tempfile::tempdir().unwrap();
    let (executors, client) = hub(data.path()).await;
    client.declare(vec![function(
        "setsid sh -c 'echo $$ >&2; exec sleep 600' & wait",
    )]);
    let mut run = soon(client.start(start(1), Bytes::new())).await.unwrap();
    let (written, _) = lines(&client, &mut run, 1).await;
    let function = format!("/proc/{}", texts(&written)[0]);
    assert!(Path::new(&function).join("exe").read_link().is_ok());
    kill(Pid::from_raw(pid(&executors).as_raw()), Signal::SIGKILL).unwrap();
    while !matches!(soon(run.next()).await, RunEvent::Lost { .. }) {}
    assert!(
        Path::new(&function).join("exe").read_link().is_err(),
        "it is dead"
    );

    let mut next = soon(client.start(start(2), Bytes::new())).await.unwrap();
    let (written, _) = lines(&client, &mut next, 1).await;
    assert_eq!(written.len(), 1, "the new executor knows the function");
    client.stop(id(2), StopHow::Kill("terminated".to_owned()));
    let (_, outcome) = lines(&client, &mut next, usize::MAX).await;
    assert_eq!(outcome.unwrap().end, RunEnd::Terminated);
    client.forget(id(2));
    soon(executors.close()).await;
}
