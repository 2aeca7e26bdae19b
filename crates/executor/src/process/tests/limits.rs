//! Bounds by process, and what happens without them.

use super::Bench;
use crate::instance::{How, StartError};
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

#[tokio::test]
async fn what_is_required_and_not_there_starts_nothing() {
    let limits = Limits {
        memory_bytes: Some(1 << 30),
        ..Limits::default()
    };
    let mut bench = Bench::script("echo ran > ran").with_limits(limits);
    bench.spec.isolation = Isolation::Required;
    let checked = bench.surroundings().isolation.check(&bench.spec);
    match (checked, bench.start().await) {
        (Ok(()), Ok(run)) => assert_eq!(run.end().await.how, How::Exited(0)),
        (Err(why), Err(StartError::NotIsolated(said))) => {
            assert_eq!(why, said);
            assert!(!bench.dir.path().join("ran").exists());
        }
        (checked, started) => panic!("{checked:?}, but {:?}", started.err()),
    }
}
