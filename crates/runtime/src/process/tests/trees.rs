//! Nothing of a run is alive after its end.

use std::time::Duration;

use tripline_model::End;

use super::{Bench, assert_end, is_alive, result};
use crate::{Runtime, sweep_leftovers};

#[tokio::test]
async fn grandchildren_die_with_the_run_whatever_its_end() {
    for (script, end) in [
        ("sleep 600 & echo $! > pid; exit 0", End::Succeeded),
        ("sleep 600 & echo $! > pid; exit 1", End::Failed),
        ("sleep 600 & echo $! > pid; wait", End::TimedOut),
    ] {
        let mut bench = Bench::script(script);
        bench.function.timeout = Duration::from_millis(500);
        let ending = bench.run().await;
        assert_eq!(ending.end, end);
        assert!(!is_alive(&bench.file("pid").await), "{script}");
    }
}

#[tokio::test]
async fn who_left_the_group_is_found() {
    let left = "setsid sh -c 'echo $$ > pid; exec sleep 600' >/dev/null 2>&1 & \
                while ! [ -s pid ]; do sleep 0.01; done;";
    for (rest, end) in [("exit 1", End::Failed), ("sleep 600", End::TimedOut)] {
        let mut bench = Bench::script(&format!("{left} {rest}"));
        bench.function.timeout = Duration::from_secs(1);
        let ending = bench.run().await;
        assert_eq!(ending.end, end, "{ending:?}");
        assert!(!is_alive(&bench.file("pid").await));
    }
}

#[tokio::test]
async fn who_holds_the_pipes_holds_nothing_up() {
    let bench = Bench::script(
        "setsid sh -c 'echo $$ > pid; exec sleep 600' & \
         while ! [ -s pid ]; do sleep 0.01; done; echo said",
    );
    let before = tokio::time::Instant::now();
    let ending = bench.run().await;
    assert_end(&ending, End::Succeeded, "exit_code");
    assert_eq!(result(&ending), b"said\n");
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(!is_alive(&bench.file("pid").await));
}

#[tokio::test]
async fn a_dropped_run_is_killed() {
    let bench = Bench::script("echo $$ > pid; exec sleep 600");
    let instance = bench.runtime().start(bench.start()).await.unwrap();
    let pid = bench.file("pid").await;
    assert!(is_alive(&pid));
    drop(instance);
    gone(&pid).await;
}

#[tokio::test]
async fn a_later_life_sweeps_what_an_earlier_one_left() {
    let bench = Bench::script("setsid sh -c 'echo $$ > pid; exec sleep 600' & wait");
    let other = Bench::script("echo $$ > pid; exec sleep 600");
    let instance = bench.runtime().start(bench.start()).await.unwrap();
    let spared = other.runtime().start(other.start()).await.unwrap();
    let (pid, spared_pid) = (bench.file("pid").await, other.file("pid").await);
    let scratch = bench.dir.path().join("scratch");
    std::fs::create_dir(scratch.join("not-ours")).unwrap();

    assert_eq!(sweep_leftovers(&bench.hub_id, &scratch).await, 0);

    assert!(!is_alive(&pid) && is_alive(&spared_pid));
    let kept: Vec<_> = std::fs::read_dir(&scratch).unwrap().collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    drop((instance, spared));
}

async fn gone(pid: &str) {
    for _ in 0..500 {
        if !is_alive(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{pid} is still alive");
}
