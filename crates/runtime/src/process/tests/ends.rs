//! How a run ends, and what that is called.

use std::time::Duration;

use tripline_model::End;

use super::{Bench, assert_end, result};
use crate::Stop;

#[tokio::test]
async fn exit_0_is_success_with_a_result() {
    let bench = Bench::script("cat; printf done").with_data("event ");
    let ending = bench.run().await;
    assert_end(&ending, End::Succeeded, "exit_code");
    assert_eq!(
        (ending.exit_code, result(&ending)),
        (Some(0), &b"event done"[..])
    );
}

#[tokio::test]
async fn another_code_is_failure() {
    let ending = Bench::script("echo half; exit 7").run().await;
    assert_end(&ending, End::Failed, "exit_code");
    assert_eq!(
        (ending.exit_code, result(&ending)),
        (Some(7), &b"half\n"[..])
    );
}

#[tokio::test]
async fn a_signal_is_failure() {
    let ending = Bench::script("kill -SEGV $$").run().await;
    assert_end(&ending, End::Failed, "signal");
    assert_eq!((ending.exit_code, ending.signal), (None, Some(11)));
}

#[tokio::test]
async fn a_missing_program_is_a_failed_start() {
    for program in ["no-such-program", "./no-such-program", "/", ""] {
        let ending = Bench::command(&[program]).run().await;
        assert_end(&ending, End::Failed, "start_failed");
        assert!(ending.detail.unwrap().contains("was not found"));
    }
}

#[tokio::test]
async fn a_file_without_a_known_format_is_a_failed_start() {
    let bench = Bench::command(&["./garbage"]);
    let path = bench.dir.path().join("garbage");
    std::fs::write(&path, [0x7f, b'x', 0, 1]).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    assert_end(&bench.run().await, End::Failed, "start_failed");
}

#[tokio::test]
async fn the_timeout_asks_first_and_is_a_timeout_even_when_obeyed() {
    let mut bench = Bench::script("trap 'echo bye; exit 0' TERM; while :; do sleep 0.02; done");
    bench.function.timeout = Duration::from_millis(300);
    bench.function.grace = Duration::from_secs(20);
    let ending = bench.run().await;
    assert_end(&ending, End::TimedOut, "timeout");
    assert_eq!(
        (ending.exit_code, result(&ending)),
        (Some(0), &b"bye\n"[..])
    );
}

#[tokio::test]
async fn the_timeout_kills_who_ignores_the_request() {
    let mut bench = Bench::script("trap '' TERM; while :; do sleep 0.02; done");
    bench.function.timeout = Duration::from_millis(200);
    let ending = bench.run().await;
    assert_end(&ending, End::TimedOut, "timeout");
    assert_eq!(ending.signal, Some(9));
}

#[tokio::test]
async fn a_kill_is_termination() {
    let bench = Bench::script("trap '' TERM; echo up > up; while :; do sleep 0.02; done");
    let stop = async {
        bench.file("up").await;
        bench.stopper.stop(Stop::Kill("terminated"));
    };
    let (ending, ()) = tokio::join!(bench.run(), stop);
    assert_end(&ending, End::Terminated, "terminated");
    assert_eq!(ending.signal, Some(9));
}

#[tokio::test]
async fn a_kill_before_the_start_starts_nothing() {
    let bench = Bench::script("echo ran > ran");
    std::fs::create_dir(bench.dir.path().join("scratch")).unwrap();
    bench.stopper.stop(Stop::Kill("hub_stopped"));
    assert_end(&bench.run().await, End::Terminated, "hub_stopped");
    assert!(!bench.dir.path().join("ran").exists());
}

#[tokio::test]
async fn a_polite_stop_leaves_the_end_to_the_function() {
    let script =
        |answer: &str| format!("trap '{answer}' TERM; echo up > up; while :; do sleep 0.02; done");
    for (answer, end, reason) in [
        ("exit 0", End::Succeeded, "exit_code"),
        ("exit 3", End::Terminated, "terminated"),
    ] {
        let bench = Bench::script(&script(answer));
        let stop = async {
            bench.file("up").await;
            bench.stopper.stop(Stop::Polite);
        };
        let (ending, ()) = tokio::join!(bench.run(), stop);
        assert_end(&ending, end, reason);
    }
}
