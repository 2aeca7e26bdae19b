//! Orphans, and what cannot be ended.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use tripline_skipped::skipped;

use super::{Bench, eventually, is_alive};
use crate::instance::How;
use crate::process::child::Main;
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
    let look = || !PathBuf::from(format!("/proc/{over}")).exists();
    tokio::select! {
        () = tend_orphans(id.clone()) => unreachable!("it goes on for ever"),
        () = eventually("the end of the dead one", look) => {}
    }
    assert!(is_alive(&on));
    family::remove_mark(b"TRIPLINE_PROCESS=on");
    let look = || !PathBuf::from(format!("/proc/{on}")).exists();
    tokio::select! {
        () = tend_orphans(id.clone()) => unreachable!("it goes on for ever"),
        () = eventually("the end of the other", look) => {}
    }
}

#[tokio::test]
async fn the_end_of_a_child_is_not_that_of_the_next_with_its_number() {
    let child = Command::new("true").spawn().unwrap();
    let pid = Pid::from_child(&child);
    family::add_child(pid);
    let mut main = Main::new(child, pid);
    main.wait().await;
    assert!(!family::has_child(pid));
    // The next one.
    family::add_child(pid);
    drop(main);
    assert!(family::has_child(pid));
    family::remove_child(pid);
}

/// A freezer of control groups v1: what is in it cannot be killed.
struct Freezer(PathBuf);

impl Freezer {
    fn new(what: &str) -> Option<Self> {
        let name = format!("tripline-test-{}-{}", std::process::id(), what.len());
        let dir = PathBuf::from("/sys/fs/cgroup/freezer").join(name);
        if std::fs::create_dir(&dir).is_err() {
            skipped(what, "needs the freezer of control groups v1");
            return None;
        }
        Some(Self(dir))
    }

    fn freeze(&self, pid: &str) {
        self.set("cgroup.procs", pid);
        self.set("freezer.state", "FROZEN");
    }

    fn thaw(&self) {
        self.set("freezer.state", "THAWED");
    }

    fn set(&self, file: &str, value: &str) {
        std::fs::write(self.0.join(file), value).unwrap();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _thawed = std::fs::write(self.0.join("freezer.state"), "THAWED");
        let _busy = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn what_cannot_be_killed_remains_until_it_can() {
    let Some(freezer) = Freezer::new("what cannot be killed") else {
        return;
    };
    let bench = Bench::script("echo $$ > pid; echo said; exec sleep 600");
    let mut run = bench.start().await.unwrap();
    let pid = bench.file("pid").await;
    freezer.freeze(&pid);
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
    freezer.thaw();
    remains.gone().await;
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
    assert!(!run.scratch.exists());
}

/// Starts a process that has this number and leads a group, as far as the kernel gives numbers away when asked.
fn stranger(number: &str) -> Option<Child> {
    let before = number.parse::<i32>().unwrap() - 1;
    for _try in 0..100 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", before.to_string()).ok()?;
        let mut command = Command::new("sleep");
        let mut child = command.arg("600").process_group(0).spawn().unwrap();
        if child.id().to_string() == number {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    None
}

#[tokio::test]
async fn who_gets_the_number_of_an_ended_group_is_not_killed_for_what_remains() {
    let what = "the number of an ended group";
    let Some(freezer) = Freezer::new(what) else {
        return;
    };
    let script = "setsid sh -c 'echo $$ > daemon; exec sleep 600' >/dev/null 2>&1 &
                  echo $$ > pid; until [ -e go ]; do sleep 0.01; done; exit 3";
    let bench = Bench::script(script);
    let mut run = bench.start().await.unwrap();
    let (leader, daemon) = (bench.file("pid").await, bench.file("daemon").await);
    freezer.freeze(&daemon);
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    run.instance.wait().await;
    let exit = run.instance.reclaim().await;
    let mut remains = exit.remains.expect("it is frozen");
    let Some(mut stranger) = stranger(&leader) else {
        return skipped(what, "the kernel gives away no number that is asked for");
    };
    // Several rounds of killing.
    let rounds = tokio::time::timeout(Duration::from_secs(4), remains.gone());
    assert!(rounds.await.is_err(), "it is frozen");
    assert!(
        stranger.try_wait().unwrap().is_none(),
        "a stranger was killed"
    );
    freezer.thaw();
    remains.gone().await;
    assert!(!is_alive(&daemon) && is_alive(&leader));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
