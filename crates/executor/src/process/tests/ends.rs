//! How a run is over.

use std::sync::Arc;
use std::task::Poll;

use super::{Bench, eventually, is_alive};
use crate::instance::{How, StartError};
use crate::process::{Launcher, SpawnRequest, tree};

#[tokio::test]
async fn it_ends_as_it_ends_with_a_result() {
    for (script, how, result) in [
        ("cat; printf done", How::Exited(0), "event done"),
        ("echo half; exit 7", How::Exited(7), "half\n"),
        ("kill -SEGV $$", How::Signaled(11), ""),
    ] {
        let exit = Bench::script(script).with_data("event ").run().await;
        assert_eq!((exit.how, &exit.result[..]), (how, result.as_bytes()));
    }
}

#[tokio::test]
async fn a_missing_program_is_a_failed_start() {
    for program in ["no-such-program", "./no-such-program", "/", ""] {
        let bench = Bench::command(&[program]);
        let error = bench.start().await.err().unwrap();
        assert!(matches!(error, StartError::NoProgram(_)), "{error}");
        assert!(!bench.scratch().exists());
    }
}

#[tokio::test]
async fn a_file_without_a_known_format_is_a_failed_start() {
    let bench = Bench::command(&["./garbage"]);
    let path = bench.dir.path().join("garbage");
    std::fs::write(&path, [0x7f, b'x', 0, 1]).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    let error = bench.start().await.err().unwrap();
    assert!(matches!(error, StartError::Spawn(_)), "{error}");
}

/// Whatever can fail for want of descriptors or memory does so before there is a process.
#[test]
fn where_its_pipes_cannot_be_watched_nothing_is_started() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (bench, over) = (Bench::script("exec sleep 600"), runtime());
    let launcher = Launcher::new(bench.surroundings());
    let request = |name: &str| SpawnRequest {
        spec: Arc::new(bench.spec.clone()),
        name: name.to_owned(),
        variables: Vec::new(),
        credentials: None,
        has_role: false,
        stdin: None,
        keep_stdout: 0,
    };
    // The function's thread is there from now on.
    over.block_on(async { launcher.spawn(request("a")).await.unwrap().reclaim().await });
    let handle = over.handle().clone();
    drop(over);
    let started = runtime().block_on(async {
        let _watches_nothing_any_more = handle.enter();
        launcher.spawn(request("b")).await
    });
    assert!(matches!(started, Err(StartError::Spawn(_))));
    let mark = format!("TRIPLINE_PROCESS={}/resize/b", bench.executor_id);
    assert!(tree::marked(mark.as_bytes()).unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_is_a_path_starts_nothing() {
    for name in ["", ".", "..", "a/b", "/etc", "a\0"] {
        let mut bench = Bench::script("echo ran > ran");
        bench.spec.name = name.to_owned();
        let error = bench.start().await.err().unwrap();
        assert!(matches!(error, StartError::Unpassable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_polite_request_leaves_the_end_to_the_function() {
    let script = "trap 'echo bye; exit 3' TERM; echo up > up; while :; do sleep 0.02; done";
    let bench = Bench::script(script);
    let run = bench.start().await.unwrap();
    bench.file("up").await;
    run.instance.request_stop();
    let exit = run.end().await;
    assert_eq!(
        (exit.how, &exit.result[..]),
        (How::Exited(3), &b"bye\n"[..])
    );
}

#[tokio::test]
async fn a_kill_ends_who_ignores_the_request() {
    let bench = Bench::script("trap '' TERM; echo up > up; while :; do sleep 0.02; done");
    let run = bench.start().await.unwrap();
    bench.file("up").await;
    run.instance.request_stop();
    run.instance.kill();
    assert_eq!(run.end().await.how, How::Signaled(9));
}

#[tokio::test]
async fn the_wait_can_be_given_up_and_begun_again() {
    let bench = Bench::script("while ! [ -e go ]; do sleep 0.01; done; exit 4");
    let mut run = bench.start().await.unwrap();
    for _ in 0..3 {
        let wait = run.instance.wait();
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, wait).await.is_err());
    }
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    assert_eq!(run.end().await.how, How::Exited(4));
}

#[tokio::test]
async fn a_dropped_run_is_killed() {
    let bench = Bench::script("echo $$ > pid; exec sleep 600");
    let run = bench.start().await.unwrap();
    let pid = bench.file("pid").await;
    assert!(is_alive(&pid));
    drop(run.instance);
    eventually("its end", || !is_alive(&pid)).await;
}

/// An executor that was stopped meanwhile, or is busy, learns of an end at once when it asks.
#[tokio::test]
async fn an_end_is_known_as_soon_as_it_is_asked_for() {
    let bench = Bench::script("echo $$ > pid; until [ -e go ]; do sleep 0.01; done");
    let mut run = bench.start().await.unwrap();
    let pid = bench.file("pid").await;
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    // The runtime gets no turn meanwhile, and hears nothing.
    while is_alive(&pid) {
        std::thread::yield_now();
    }
    let mut wait = run.instance.wait();
    let asked = std::future::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context)));
    assert!(asked.await.is_ready());
    drop(wait);
    assert_eq!(run.end().await.how, How::Exited(0));
}
