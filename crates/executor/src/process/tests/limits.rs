//! Bounds by process, and what happens without them.

use tripline_skipped::skipped;

use super::{Bench, eventually};
use crate::instance::{How, StartError};
use crate::isolation::Isolator;
use crate::protocol::{Isolation, Limits};

#[tokio::test]
async fn open_files_and_file_sizes_are_bounded() {
    let limits = Limits {
        open_files: Some(17),
        file_bytes: Some(4096),
        ..Limits::default()
    };
    // Set right after the start: the function looks until it sees them.
    let script = "while [ $(ulimit -n) != 17 ]; do :; done; ulimit -Hn; \
                  head -c 10000 /dev/zero > $TRIPLINE_SCRATCH/file; wc -c < $TRIPLINE_SCRATCH/file";
    let exit = Bench::script(script).with_limits(limits).run().await;
    assert_eq!(
        (exit.how, &exit.result[..]),
        (How::Exited(0), &b"17\n4096\n"[..])
    );
}

/// Waits until a process that wrote its number into `pid` has a bound.
async fn has_bound(bench: &Bench, bound: &str, value: &str) {
    let path = format!("/proc/{}/limits", bench.file("pid").await);
    eventually(&format!("{bound} is {value}"), || {
        let limits = std::fs::read_to_string(&path).unwrap();
        let words = limits.lines().find_map(|line| line.strip_prefix(bound))?;
        let mut words = words.split_whitespace();
        (words.next() == Some(value) && words.next() == Some(value)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn memory_is_bounded_by_process_where_no_control_group_does() {
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        ..Limits::default()
    };
    let bench = Bench::script("echo $$ > pid; exec sleep 600").with_limits(limits);
    bench.surroundings_with(Isolator::bare);
    let run = bench.start().await.unwrap();
    has_bound(&bench, "Max data size", "67108864").await;
    run.instance.kill();
    assert_eq!(run.end().await.how, How::Signaled(9));
}

/// With v2 a process is moved into its cage while it runs, and may have children before it is there.
#[tokio::test]
async fn children_of_the_first_moment_are_bounded_too() {
    let limits = Limits {
        open_files: Some(17),
        ..Limits::default()
    };
    let bench = Bench::script("sleep 600 & echo $! > pid; wait").with_limits(limits);
    bench.surroundings_with(Isolator::with_v2);
    let run = bench.start().await.unwrap();
    has_bound(&bench, "Max open files", "17").await;
    run.instance.kill();
    assert_eq!(run.end().await.how, How::Signaled(9));
}

#[tokio::test]
async fn what_is_required_and_not_there_starts_nothing() {
    for (limits, missing) in [
        (Limits::default(), "data directory"),
        (
            Limits {
                memory_bytes: Some(1 << 30),
                ..Limits::default()
            },
            "memory of a function",
        ),
    ] {
        let mut bench = Bench::script("echo ran > ran").with_limits(limits);
        bench.spec.isolation = Isolation::Required;
        let surroundings = bench.surroundings_with(Isolator::bare);
        let why = surroundings.isolation.check(&bench.spec).unwrap_err();
        let Some(StartError::NotIsolated(said)) = bench.start().await.err() else {
            panic!("it was started");
        };
        assert!(said == why && said.contains(missing), "{said}");
        assert!(!bench.dir.path().join("ran").exists() && !bench.scratch().exists());
    }
}

#[tokio::test]
async fn what_is_required_and_there_runs() {
    let mut bench = Bench::script("echo ran > ran");
    bench.spec.isolation = Isolation::Required;
    match bench.surroundings().isolation.check(&bench.spec) {
        Ok(()) => assert_eq!(bench.run().await.how, How::Exited(0)),
        Err(why) => skipped("what is required runs", &why),
    }
}
