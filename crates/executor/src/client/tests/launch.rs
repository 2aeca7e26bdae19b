//! New executors, as real processes.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{RELEASE, Scripted, config, soon, start};
use crate::client::{ClientError, Executors, ExecutorsConfig, RunEvent, executor_args};
use crate::protocol::ToExecutor;

/// Where the executor of [`an_executor`] finds its directory.
const DIRECTORY: &str = "TRIPLINE_TEST_EXECUTOR";

/// An executor that starts whatever it is told to, for one connection. Not a test: the tests below run it in processes
/// of its own.
#[tokio::test]
async fn an_executor() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let id = dir.file_name().unwrap().to_str().unwrap();
    let scripted = Scripted::at(dir.parent().unwrap().to_owned(), id);
    let mut peer = scripted.welcome(RELEASE, Vec::new()).await;
    loop {
        match peer.receive().await {
            ToExecutor::Start(start) => peer.send_lines(&start.run, 1, &["begun"]).await,
            ToExecutor::Retire => return,
            _ => {}
        }
    }
}

/// A configuration whose program is a shell script.
fn scripted(data_dir: &Path, script: &str) -> ExecutorsConfig {
    let program = data_dir.join("program");
    // Written by another process: a file that this one has open for writing, perhaps copied into a child that was just
    // forked, cannot be run.
    let mut write = Command::new("sh");
    write.args([
        "-c",
        "printf '#!/bin/sh\n%s\n' \"$1\" > \"$2\"; chmod +x \"$2\"",
        "sh",
        script,
    ]);
    assert!(write.arg(&program).status().unwrap().success());
    ExecutorsConfig {
        program,
        ..config(data_dir)
    }
}

/// A configuration whose program is [`an_executor`].
fn working(data_dir: &Path) -> ExecutorsConfig {
    rerun(data_dir, DIRECTORY, "launch::an_executor")
}

/// A configuration whose program is one of these tests, which finds the executor's directory in a variable.
pub(super) fn rerun(data_dir: &Path, variable: &str, test: &str) -> ExecutorsConfig {
    let tests = std::env::current_exe().unwrap();
    let script = format!(
        "{{ pwd; env; }} > \"$3/surroundings\"; {variable}=\"$3\" exec '{}' --exact client::tests::{test}",
        tests.display()
    );
    scripted(data_dir, &script)
}

pub(super) fn folders(data_dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data_dir.join("executors")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

pub(super) fn pid(executors: &Executors) -> Pid {
    let current = executors.shared.current.borrow();
    Pid::from_raw(i32::try_from(current.as_ref().unwrap().pid).unwrap())
}

#[test]
fn its_arguments_are_in_one_place() {
    let args = executor_args(Path::new("/d/executors/ID"), "ID", "1.2");
    let expected = [
        "executor",
        "--dir",
        "/d/executors/ID",
        "--id",
        "ID",
        "--release",
        "1.2",
    ];
    assert_eq!(args, expected);
}

#[tokio::test]
async fn it_gets_nothing_of_the_hub() {
    let data = tempfile::tempdir().unwrap();
    let executors = soon(Executors::start(working(data.path()))).await.unwrap();
    let pid = pid(&executors);
    let [folder] = &folders(data.path())[..] else {
        panic!("not one folder");
    };
    let mode = std::fs::metadata(folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let surroundings = std::fs::read_to_string(folder.join("surroundings")).unwrap();
    let (cwd, variables) = surroundings.split_once('\n').unwrap();
    assert_eq!(cwd, "/");
    let names: BTreeSet<_> = variables
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    // The last ones are the shell's own.
    let expected = BTreeSet::from(["PATH", "LANG", "TZ", "PWD", "OLDPWD", "SHLVL", "_"]);
    assert!(names.is_subset(&expected), "{names:?}");
    soon(executors.close()).await;
    assert!(folders(data.path()).is_empty());
    // Neither running nor a zombie: it is waited for.
    soon(async {
        while Path::new(&format!("/proc/{pid}")).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_was_killed_is_replaced() {
    let data = tempfile::tempdir().unwrap();
    let executors = soon(Executors::start(working(data.path()))).await.unwrap();
    let client = executors.client();
    let mut first = soon(client.start(start(1), Bytes::new())).await.unwrap();
    assert!(matches!(soon(first.next()).await, RunEvent::Lines(_)));
    let old = pid(&executors);
    kill(old, Signal::SIGKILL).unwrap();
    assert!(matches!(soon(first.next()).await, RunEvent::Lost { .. }));

    let mut second = soon(client.start(start(2), Bytes::new())).await.unwrap();
    assert!(matches!(soon(second.next()).await, RunEvent::Lines(_)));
    assert_ne!(pid(&executors), old);
    assert_eq!(folders(data.path()).len(), 1);
}

#[tokio::test]
async fn one_that_ends_at_once_is_told_by_its_log() {
    let data = tempfile::tempdir().unwrap();
    let config = scripted(data.path(), "printf 'no \\033[2J luck' >&2; exit 3");
    let error = soon(Executors::start(config)).await.err().unwrap();
    assert!(matches!(error, ClientError::NotReady { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("exit status: 3"), "{error}");
    assert!(error.contains("no \u{fffd}[2J luck"), "{error}");
    assert!(folders(data.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_ended() {
    let data = tempfile::tempdir().unwrap();
    let config = scripted(data.path(), "exec sleep 600");
    let error = Executors::start(config).await.err().unwrap().to_string();
    assert!(error.contains("did not answer within 10 s"), "{error}");
    assert!(folders(data.path()).is_empty());
}
