//! Orphans, and what cannot be ended.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tripline_skipped::skipped;

use super::{Bench, eventually, is_alive};
use crate::instance::How;
use crate::process::{family, tend_orphans};

#[tokio::test]
async fn orphans_of_runs_that_are_over_are_ended_and_waited_for() {
    family::become_subreaper().unwrap();
    let id = format!("orphans-{}", std::process::id());
    let start = |mark: &str| {
        let script = "setsid sleep 600 > /dev/null 2>&1 & echo $!";
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .env("TRIPLINE_EXECUTOR", &id)
            .env("TRIPLINE_PROCESS", mark);
        let output = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    family::add_mark(b"TRIPLINE_PROCESS=on");
    let (on, over) = (start("on"), start("over"));
    let look = || (!PathBuf::from(format!("/proc/{over}")).exists()).then_some(());
    tokio::select! {
        () = tend_orphans(id.clone()) => unreachable!("it goes on for ever"),
        () = eventually("even the dead one is gone", look) => {}
    }
    assert!(is_alive(&on));
    family::remove_mark(b"TRIPLINE_PROCESS=on");
    let look = || (!PathBuf::from(format!("/proc/{on}")).exists()).then_some(());
    tokio::select! {
        () = tend_orphans(id.clone()) => unreachable!("it goes on for ever"),
        () = eventually("now the other, too", look) => {}
    }
}

#[tokio::test]
async fn what_cannot_be_killed_remains_until_it_can() {
    let freezer = PathBuf::from(format!(
        "/sys/fs/cgroup/freezer/tripline-test-{}",
        std::process::id()
    ));
    if std::fs::create_dir(&freezer).is_err() {
        return skipped(
            "what cannot be killed",
            "needs the freezer of control groups v1",
        );
    }
    let set = |file: &str, value: &str| std::fs::write(freezer.join(file), value).unwrap();
    let bench = Bench::script("echo $$ > pid; echo said; exec sleep 600");
    let mut run = bench.start().await.unwrap();
    let pid = bench.file("pid").await;
    set("cgroup.procs", &pid);
    set("freezer.state", "FROZEN");
    run.instance.kill();
    let before = tokio::time::Instant::now();
    run.instance.wait().await;
    let exit = run.instance.reclaim().await;
    assert!(
        before.elapsed() < Duration::from_secs(15),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(
        (exit.how, &exit.result[..]),
        (How::Signaled(9), &b"said\n"[..])
    );
    let mut remains = exit.remains.expect("it is frozen");
    drop(run.instance);
    assert!(is_alive(&pid) && run.scratch.exists());
    set("freezer.state", "THAWED");
    remains.gone().await;
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
    assert!(!run.scratch.exists());
    std::fs::remove_dir(&freezer).unwrap();
}
