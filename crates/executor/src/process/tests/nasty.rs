//! Functions that do what they should not: nothing of them is alive after the end.

use std::time::Duration;

use tripline_model::LogStream;
use tripline_skipped::skipped;

use super::{Bench, eventually, has_groups, is_alive};
use crate::instance::How;
use crate::protocol::{Isolation, Limits};

const NASTY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/process/tests/nasty.sh");

fn nasty(words: &[&str]) -> Bench {
    Bench::command(&[&["sh", NASTY], words].concat())
}

/// Kills a run once it has written `file`.
async fn killed_after(bench: &Bench, file: &str) -> crate::instance::Exit {
    let run = bench.start().await.unwrap();
    bench.file(file).await;
    run.instance.kill();
    run.end().await
}

#[tokio::test]
async fn who_ignores_the_request_or_closes_its_output_is_killed() {
    let bench = nasty(&["ignore-term"]);
    let run = bench.start().await.unwrap();
    bench.file("up").await;
    run.instance.request_stop();
    run.instance.kill();
    assert_eq!(run.end().await.how, How::Signaled(9));
    let exit = killed_after(&nasty(&["closes-output"]), "up").await;
    assert_eq!(exit.how, How::Signaled(9));
}

#[tokio::test]
async fn children_and_daemons_die_with_the_run_whatever_its_end() {
    for what in ["children", "daemon"] {
        let bench = nasty(&[what]);
        assert_eq!(killed_after(&bench, "pid").await.how, How::Signaled(9));
        assert!(!is_alive(&bench.file("pid").await), "{what}");
        for code in ["0", "7"] {
            // Without control groups a daemon of a run that ended well is found by `tend_orphans`, not by its end.
            let bench = nasty(&[what, code]);
            if what == "daemon" && code == "0" && !has_groups(&bench, "a daemon after success") {
                continue;
            }
            let exit = bench.run().await;
            assert_eq!(exit.how, How::Exited(code.parse().unwrap()));
            assert!(!is_alive(&bench.file("pid").await), "{what} {code}");
        }
    }
}

#[tokio::test]
async fn who_cannot_be_told_from_others_dies_by_its_group() {
    for code in ["0", "7"] {
        let bench = nasty(&["stranger", code]);
        if has_groups(&bench, "a process without marks") {
            bench.run().await;
            assert!(!is_alive(&bench.file("pid").await));
        }
    }
}

#[tokio::test]
async fn who_holds_the_pipes_holds_nothing_up() {
    let bench = nasty(&["hold-pipes"]);
    let before = tokio::time::Instant::now();
    let exit = bench.run().await;
    assert_eq!(
        (exit.how, &exit.result[..]),
        (How::Exited(0), &b"said\n"[..])
    );
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(!is_alive(&bench.file("pid").await));
}

#[tokio::test]
async fn a_flood_is_taken_and_ended() {
    let bench = nasty(&["flood"]);
    let run = bench.start().await.unwrap();
    eventually("much output", || {
        bench.output.0.lock().unwrap().len() > 100_000
    })
    .await;
    run.instance.kill();
    let exit = run.end().await;
    assert!(exit.how == How::Signaled(9) && exit.result_cut);
    assert!(bench.output.texts_of(LogStream::Stderr).is_empty());
}

#[tokio::test]
async fn who_fills_its_scratch_is_ended_for_that() {
    let limits = Limits {
        scratch_bytes: Some(20_000_000),
        ..Limits::default()
    };
    let exit = nasty(&["fills-scratch"]).with_limits(limits).run().await;
    assert_eq!(exit.how, How::ScratchLimit);
}

#[tokio::test]
async fn who_eats_memory_is_ended_for_that() {
    let limits = Limits {
        memory_bytes: Some(32 << 20),
        ..Limits::default()
    };
    let bench = nasty(&["eats-memory"]).with_limits(limits);
    let exit = bench.run().await;
    if bench.surroundings().isolation.level().memory {
        assert_eq!(exit.how, How::MemoryLimit);
        assert!(exit.peak_memory.is_some_and(|peak| peak > 16 << 20));
    } else {
        skipped("the word for too much memory", "no control groups here");
        assert_ne!(exit.how, How::Exited(0));
    }
}

#[tokio::test]
async fn forks_without_end_are_bounded_and_ended() {
    let limits = Limits {
        pids: Some(40),
        ..Limits::default()
    };
    let bench = nasty(&["bomb"]).with_limits(limits);
    if has_groups(&bench, "a fork bomb") {
        let run = bench.start().await.unwrap();
        bench.file("up").await;
        tokio::time::timeout(Duration::from_secs(2), std::future::pending::<()>())
            .await
            .unwrap_err();
        run.instance.kill();
        run.end().await;
        let mark = format!("TRIPLINE_PROCESS={}/resize/{}", bench.executor_id, bench.id);
        assert!(
            crate::process::tree::marked(mark.as_bytes())
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn spies_see_their_own_scratch_and_nothing_else() {
    let mut bench = nasty(&["spy"]).with_env("SPIED", &std::process::id().to_string());
    bench.surroundings();
    let secret = bench.data_dir().join("journal");
    std::fs::write(&secret, "secret").unwrap();
    bench.spec.env.insert(
        "SECRET".to_owned(),
        crate::protocol::Value::new(secret.to_str().unwrap()),
    );
    if bench
        .surroundings()
        .isolation
        .level()
        .landlock_abi
        .is_some_and(|abi| abi >= 6)
    {
        assert_eq!(bench.run().await.result, "own\n");
    } else {
        skipped("spies", "this kernel's Landlock cannot hold them back");
    }
    bench.spec.isolation = Isolation::None;
    let exit = bench.run().await;
    let seen = String::from_utf8(exit.result.to_vec()).unwrap();
    assert!(
        seen.contains("secret\nfolder\nnew\nsignal\nown\n"),
        "{seen}"
    );
}
