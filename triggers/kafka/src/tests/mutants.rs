//! The trigger, broken on purpose in one way. Each way has its switch where the product does it right, under `#[cfg(test)]`
//! and on only where this variable names it: a test program that is started with it runs a trigger that is broken.
//! The tests here start such programs, and fail if another test does not notice.

use std::env;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::batch::{Carried, Settled};

const VARIABLE: &str = "TRIPLINE_MUTANT";

/// Whether this test program runs the trigger that is broken in this way.
pub(crate) fn is(name: &str) -> bool {
    env::var_os(VARIABLE).is_some_and(|named| named == name)
}

/// Says of records that are not offered yet that they are safe.
pub(crate) async fn tell_too_soon(records: &[Carried], back: &mpsc::Sender<Settled>) {
    let reached = |record: &Carried| (Arc::clone(&record.lease), record.offset + 1);
    let settled = Settled {
        reached: records.iter().map(reached).collect(),
        finished: false,
    };
    // The consumer may be gone.
    let _ = back.send(settled).await;
}

/// Runs `test` with the trigger whole and broken: it passes, and fails. `cargo xtask mutants` shows what this prints.
fn is_caught(mutant: &str, test: &str) {
    let run = |mutant: &str| {
        let mut command = Command::new(env::current_exe().expect("a test has a path"));
        let command = command.args(["--exact", test]).env(VARIABLE, mutant);
        let done = command.stdin(Stdio::null()).output().expect("it starts");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let (whole, broken) = (run(""), run(mutant));
    assert!(whole.contains(&format!("test {test} ... ok\n")), "{whole}");
    let failed = format!("test {test} ... FAILED\n");
    assert!(broken.contains(&failed), "{mutant} survived: {broken}");
    println!("{mutant:<22} caught by {}::{test}", env!("CARGO_PKG_NAME"));
}

#[test]
fn commit_before_flush() {
    let test = "tests::faults::a_hub_over_its_limit_pauses_partitions_and_stays_in_the_group";
    is_caught("commit-before-flush", test);
}

#[test]
fn no_topic_id() {
    let test = "positions::tests::a_topic_made_anew_begins_a_new_incarnation";
    is_caught("no-topic-id", test);
}
