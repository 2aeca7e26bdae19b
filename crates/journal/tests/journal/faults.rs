//! Kills and failing disks, each on a child process: the test runs itself again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tripline_journal::{Accepted, Health, Journal, JournalError, JournalOptions, SqliteJournal};
use tripline_model::{Identity, RequestId};
use tripline_skipped::skipped;

use crate::support::*;

/// The variable that is only set in the child, and names its data directory.
const CHILD_DIR: &str = "TRIPLINE_JOURNAL_TEST_DIR";

/// The command that runs the test `name` of this binary.
fn again(mut command: Command, name: &str, dir: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    if command.get_program() == "self" {
        command = Command::new(&this);
    } else {
        command.arg(&this);
    }
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let child = command.env(CHILD_DIR, dir).stdout(Stdio::piped());
    child.spawn().unwrap()
}

/// Accepts one event after the other and prints each id; answers the error that ended this.
async fn accept_until_it_fails(journal: &SqliteJournal) -> JournalError {
    loop {
        let new = new_at(at(0), offer("f", Identity::Unique));
        let id = new.request_id;
        match journal.accept(vec![new]).await {
            Ok(answer) => assert_eq!(answer, [Accepted::New(id)]),
            Err(error) => return error,
        }
        println!("\nACCEPTED {id}");
    }
}

fn accepted(line: &str) -> Option<RequestId> {
    line.strip_prefix("ACCEPTED ")?.parse().ok()
}

async fn assert_known(dir: &Path, ids: &[RequestId]) {
    let journal = open(dir);
    assert_eq!(journal.health(), Health::Ok);
    for id in ids {
        assert!(Journal::get(&journal, *id).await.unwrap().is_some(), "{id}");
    }
    accept(&journal, "f", at(1)).await;
    journal.close().await;
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_answered() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        let error = accept_until_it_fails(&open(Path::new(&dir))).await;
        panic!("it was to be killed: {error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "faults::a_kill_loses_nothing_that_was_answered";
    let mut child = again(Command::new("self"), name, dir.path());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ids = lines
        .map_while(Result::ok)
        .filter_map(|line| accepted(&line));
    let ids: Vec<_> = ids.take(200).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ids.len(), 200);
    assert_known(dir.path(), &ids).await;
}

#[tokio::test]
async fn one_failed_fsync_ends_all_writing() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return be_poisoned(Path::new(&dir)).await;
    }
    // Counted per thread. Opening does fewer, so only the writer's fortieth flush fails.
    let Some(strace) = failing_sync(40) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let child = again(
        strace,
        "faults::one_failed_fsync_ends_all_writing",
        dir.path(),
    );
    let output = child.wait_with_output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains("POISONED AS EXPECTED"), "{output}");
    let ids: Vec<_> = output.lines().filter_map(accepted).collect();
    assert!(ids.len() >= 20, "{output}");
    assert_known(dir.path(), &ids).await;
}

/// Runs a program in whose threads only the sync number `place` fails; `None` if that is not possible here.
fn failing_sync(place: u32) -> Option<Command> {
    let traced = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status();
    if !traced.is_ok_and(|status| status.success()) {
        skipped("a failed fsync", "there is no strace that may trace here");
        return None;
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={place}");
    strace.args(["trace=fsync,fdatasync", "-e", &inject]);
    Some(strace)
}

#[tokio::test]
async fn a_journal_that_is_made_on_a_failing_disk_is_refused() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return open_and_say(Path::new(&dir)).await;
    }
    let mut refused = 0;
    for place in 1..=5 {
        let Some(strace) = failing_sync(place) else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let name = "faults::a_journal_that_is_made_on_a_failing_disk_is_refused";
        let output = again(strace, name, dir.path()).wait_with_output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        refused += u32::from(output.contains("REFUSED"));
        let logged = output.contains("LOGGED");
        assert!(logged || output.contains("REFUSED"), "{place}: {output}");
        // The disk works again, and so does the journal.
        assert_known(dir.path(), &[]).await;
    }
    assert!(refused > 2, "{refused} of 5");
}

/// Says whether the journal is refused, or opened with a write-ahead log (WAL): without one it must not be opened.
async fn open_and_say(dir: &Path) {
    match SqliteJournal::open(dir, JournalOptions::default(), clock()) {
        Err(error) => println!("\nREFUSED {error}"),
        Ok(journal) => {
            let file = std::fs::read(dir.join("journal.db")).unwrap();
            // The versions that SQLite needs to write and to read it: 2 is with a WAL.
            assert_eq!(file[18..20], [2, 2]);
            journal.close().await;
            println!("\nLOGGED");
        }
    }
}

async fn be_poisoned(dir: &Path) {
    let journal = open(dir);
    let waiting = accept(&journal, "f", at(0)).await;
    let error = accept_until_it_fails(&journal).await;
    assert!(matches!(error, JournalError::Poisoned(_)), "{error}");
    assert!(matches!(journal.health(), Health::Poisoned(_)));
    // The next fsync would succeed, but must not be tried.
    let next = vec![new_at(at(1), offer("f", Identity::Unique))];
    let next = journal.accept(next).await;
    assert!(matches!(next, Err(JournalError::Poisoned(_))), "{next:?}");
    let start = journal.start(waiting, at(1)).await;
    assert!(matches!(start, Err(JournalError::Poisoned(_))), "{start:?}");
    assert!(Journal::get(&journal, waiting).await.unwrap().is_some());
    journal.close().await;
    println!("\nPOISONED AS EXPECTED");
}
