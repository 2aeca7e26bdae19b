//! Bounds by process, and what happens without them.

use tripline_skipped::skipped;

use super::Bench;
use crate::instance::{How, StartError};
use crate::isolation::Isolator;
use crate::protocol::{Isolation, Limits};

/// What the kernel says of a bound of a process: soft and hard.
fn bounds(pid: &str, bound: &str) -> [String; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let words = limits.lines().find_map(|line| line.strip_prefix(bound));
    let mut words = words.unwrap().split_whitespace();
    [(); 2].map(|()| words.next().unwrap().to_owned())
}

#[tokio::test]
async fn open_files_and_file_sizes_are_bounded() {
    let limits = Limits {
        open_files: Some(17),
        file_bytes: Some(4096),
        ..Limits::default()
    };
    // They are set right after the start.
    let script = "until [ -e go ]; do sleep 0.01; done; ulimit -Hn; \
                  head -c 10000 /dev/zero > $TRIPLINE_SCRATCH/file; wc -c < $TRIPLINE_SCRATCH/file";
    let bench = Bench::script(script).with_limits(limits);
    let run = bench.start().await.unwrap();
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    let exit = run.end().await;
    assert_eq!(
        (exit.how, &exit.result[..]),
        (How::Exited(0), &b"17\n4096\n"[..])
    );
}

#[tokio::test]
async fn memory_is_bounded_by_process_where_no_control_group_does() {
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        ..Limits::default()
    };
    for _again in 0..MANY {
        let bench = Bench::script(EARLY).with_limits(limits.clone());
        bench.surroundings_with(Isolator::bare);
        is_bounded(&bench, "Max data size", "67108864").await;
    }
}

/// A process may have children before anything can be set on it.
const EARLY: &str = "sleep 600 & echo $$ > pid; echo $! > child; wait";

/// How often what happens now and then alone is tried.
const MANY: usize = 20;

/// Starts a function, and looks at once at what its processes may.
async fn is_bounded(bench: &Bench, bound: &str, value: &str) {
    let run = bench.start().await.unwrap();
    for file in ["child", "pid"] {
        let pid = bench.file(file).await;
        assert_eq!(bounds(&pid, bound), [value, value], "{file}");
    }
    run.instance.kill();
    assert_eq!(run.end().await.how, How::Signaled(9));
}

#[tokio::test]
async fn children_of_the_first_moment_are_bounded_too() {
    let limits = Limits {
        open_files: Some(17),
        ..Limits::default()
    };
    for detect in [Isolator::detect, Isolator::with_v2, Isolator::bare] {
        for _again in 0..MANY {
            let bench = Bench::script(EARLY).with_limits(limits.clone());
            bench.surroundings_with(detect);
            is_bounded(&bench, "Max open files", "17").await;
        }
    }
}

#[tokio::test]
async fn a_tighter_bound_that_a_function_gives_itself_is_no_fault() {
    let script = "ulimit -n 16; until [ -e go ]; do sleep 0.01; done; ulimit -Hn";
    for _again in 0..MANY {
        let mut bench = Bench::script(script).with_limits(Limits {
            open_files: Some(64),
            ..Limits::default()
        });
        bench.spec.isolation = Isolation::Required;
        if let Err(why) = bench.surroundings().isolation.check(&bench.spec) {
            return skipped("bounds of its own", &why);
        }
        let run = bench.start().await.unwrap();
        std::fs::write(bench.dir.path().join("go"), "").unwrap();
        let exit = run.end().await;
        assert_eq!((exit.how, exit.result), (How::Exited(0), "16\n".into()));
    }
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
        let Some(StartError::NotIsolated(error)) = bench.start().await.err() else {
            panic!("it was started");
        };
        assert!(error == why && error.contains(missing), "{error}");
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
