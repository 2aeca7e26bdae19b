//! Lines that wait for a hub: in memory, on disk, and under way.

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tripline_model::LogStream;

use super::{Bench, NOW, Numbered, TEST_TIMEOUT, numbered, request_id, start};
use crate::instance::How;
use crate::protocol::{FromExecutor, RunEnd, StopHow, ToExecutor};
use crate::server::backlog::{Backlog, SEND_WINDOW};

/// A backlog that spills into a directory of its own.
fn backlog(limit: u64) -> (Backlog, tempfile::TempDir) {
    let dir = tempfile::TempDir::new().unwrap();
    (
        Backlog::new("r".to_owned(), limit, dir.path().join("r")),
        dir,
    )
}

/// Does what is to be done on the disk. False if there was nothing.
fn on_disk(backlog: &mut Backlog) -> bool {
    let Some(request) = backlog.next_spill_request() else {
        return false;
    };
    backlog.spill_done(request.run(), NOW);
    true
}

fn push(backlog: &mut Backlog, text: &str) {
    while !backlog.has_room(text.len()) {
        assert!(on_disk(backlog), "nothing makes room");
    }
    backlog.push(NOW, LogStream::Stdout, text.as_bytes(), true);
}

/// Takes all lines, keeping each message.
fn drain(backlog: &mut Backlog) -> Vec<Numbered> {
    let mut all = Vec::new();
    loop {
        let Some((FromExecutor::Lines { first, lines, .. }, texts)) = backlog.next(1) else {
            if on_disk(backlog) {
                continue;
            }
            return all;
        };
        assert!(
            texts.len() <= 64 << 10,
            "a message of {} bytes",
            texts.len()
        );
        all.extend(numbered(first, &lines, &texts));
        backlog.keep(all.last().unwrap().number);
    }
}

#[test]
fn what_memory_has_no_room_for_spills_and_comes_back_in_order() {
    let (mut backlog, dir) = backlog(1 << 30);
    let text = |n: usize| format!("{n} {}", "é".repeat(n * 37 % 30_000));
    let mut bytes = 0;
    for n in 0..1000 {
        push(&mut backlog, &text(n));
        bytes += text(n).len() as u64;
        assert!(
            backlog.memory() <= 256 << 10,
            "{} bytes in memory",
            backlog.memory()
        );
    }
    let spilled = std::fs::metadata(dir.path().join("r")).unwrap().len();
    assert!(
        spilled > bytes - (300 << 10),
        "{spilled} of {bytes} are on disk"
    );
    backlog.attach(1, 0);
    let all = drain(&mut backlog);
    let expected: Vec<_> = (0..1000).map(text).collect();
    assert!(all.iter().map(|line| &line.text).eq(&expected));
    assert!(all.iter().map(|line| line.number).eq(1..=1000));
    assert!(!dir.path().join("r").exists(), "the spill file stays");
    assert_eq!(backlog.memory(), 0);
}

#[test]
fn empty_lines_are_bounded_too() {
    let limit = 4_800_000;
    let (mut backlog, dir) = backlog(limit);
    for _ in 0..200_000 {
        push(&mut backlog, "");
    }
    assert!(backlog.memory() <= 256 << 10);
    let spilled = std::fs::metadata(dir.path().join("r")).unwrap().len();
    assert!(spilled < limit, "{spilled} bytes on disk");
    backlog.attach(1, 0);
    let all = drain(&mut backlog);
    assert_eq!(all.len(), 100_001);
    assert_eq!(
        all[100_000].text,
        "[log cut: it reached the function's `output`, 4800000 bytes, 48 of them for each line]"
    );
}

#[test]
fn the_log_is_cut_once_at_its_limit() {
    let (mut backlog, _dir) = backlog(2 * 48 + 9);
    for text in ["12345", "12345", "12345"] {
        push(&mut backlog, text);
    }
    backlog.push(NOW, LogStream::System, b"END", true);
    backlog.attach(1, 0);
    let texts: Vec<_> = drain(&mut backlog).into_iter().map(|l| l.text).collect();
    let cut = "[log cut: it reached the function's `output`, 105 bytes, 48 of them for each line]";
    assert_eq!(texts, ["12345", "1234", cut, "END"]);
}

#[test]
fn a_disk_that_takes_nothing_cuts_the_log() {
    let mut backlog = Backlog::new("r".to_owned(), 1 << 30, "/nowhere/at/all".into());
    let long = "x".repeat(1000);
    for _ in 0..1000 {
        push(&mut backlog, &long);
    }
    assert!(backlog.memory() <= 300 << 10);
    backlog.attach(1, 0);
    let all = drain(&mut backlog);
    let last = &all.last().unwrap().text;
    assert!(
        last.starts_with("[log cut: it could not be kept on the disk: "),
        "{last}"
    );
    assert!(all.iter().map(|line| line.number).eq(1..=all.len() as u64));
}

#[test]
fn lines_that_the_disk_gives_back_no_more_leave_a_remark() {
    let (mut backlog, dir) = backlog(1 << 30);
    let text = "x".repeat(1000);
    for _ in 0..1000 {
        push(&mut backlog, &text);
    }
    let file = std::fs::File::options()
        .write(true)
        .open(dir.path().join("r"));
    file.unwrap().set_len(70_000).unwrap();
    backlog.attach(1, 0);
    let all = drain(&mut backlog);
    assert_eq!(all.last().unwrap().number, 1000);
    // Each gap in the numbers ends with a remark.
    let (mut before, mut remarks) = (0, 0);
    for line in &all {
        let is_remark = line.stream == "system" && line.text.starts_with("[log gap: ");
        remarks += usize::from(is_remark);
        assert!(
            is_remark || line.number == before + 1,
            "{line:?} after {before}"
        );
        before = line.number;
    }
    assert!(
        remarks > 0 && all.len() > remarks,
        "{remarks} of {}",
        all.len()
    );
    assert_eq!(backlog.memory(), 0);
    assert!(!dir.path().join("r").exists(), "the spill file stays");
}

#[test]
fn while_the_disk_takes_its_time_lines_are_told_and_kept() {
    let (mut backlog, dir) = backlog(1 << 30);
    let text = "x".repeat(60_000);
    backlog.attach(1, 0);
    for _ in 0..4 {
        push(&mut backlog, &text);
    }
    assert!(!backlog.has_room(text.len()));
    let request = backlog.next_spill_request().unwrap();
    assert!(
        backlog.next_spill_request().is_none(),
        "one thing after the other"
    );
    for number in 1..=4 {
        let (message, _) = backlog.next(1).unwrap();
        assert!(matches!(message, FromExecutor::Lines { first, .. } if first == number));
    }
    backlog.keep(4);
    assert_eq!(backlog.memory(), 0);
    push(&mut backlog, "five");
    backlog.spill_done(request.run(), NOW);
    assert_eq!(drain(&mut backlog)[0].number, 5);
    assert!(!dir.path().join("r").exists(), "the spill file stays");
}

#[test]
fn no_more_than_the_window_is_under_way() {
    let (mut backlog, _dir) = backlog(1 << 30);
    backlog.attach(1, 0);
    let mut sent = 0;
    for n in 0..100 {
        push(&mut backlog, &n.to_string());
        sent += usize::from(backlog.next(1).is_some());
    }
    assert_eq!(sent, SEND_WINDOW);
    backlog.keep(1);
    // What waited meanwhile travels together.
    let (FromExecutor::Lines { first, lines, .. }, _) = backlog.next(1).unwrap() else {
        panic!("no lines");
    };
    assert_eq!(
        (first, lines.len()),
        (SEND_WINDOW as u64 + 1, 100 - SEND_WINDOW)
    );
    assert!(backlog.next(1).is_none());
}

#[test]
fn who_does_not_listen_any_more_hears_nothing() {
    let (mut backlog, _dir) = backlog(1 << 30);
    push(&mut backlog, "one");
    assert!(backlog.next(1).is_none());
    backlog.attach(1, 0);
    backlog.attach(2, 0);
    assert!(backlog.next(1).is_none());
    assert!(backlog.next(2).is_some());
    backlog.detach();
    push(&mut backlog, "two");
    assert!(backlog.next(2).is_none());
}

#[tokio::test]
async fn a_hub_that_stops_reading_does_not_hold_up_a_run() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    hub.start(2, "f").await;
    let (one, two) = (bench.actor().await, bench.actor().await);
    let text = "x".repeat(50_000);
    let write = async {
        for _ in 0..400 {
            one.write(&[&text]).await;
        }
    };
    timeout(TEST_TIMEOUT, write)
        .await
        .expect("the function is held up");
    one.end(How::Exited(1));
    two.end_well(Bytes::from(vec![7; 1 << 20]));
    one.dropped().await;
    two.dropped().await;
    // It is heard although it does not listen.
    hub.start(3, "f").await;
    bench.actor().await.end_well("");

    let mut hub = bench.hub().await;
    hub.attach(1, 0).await;
    let (lines, outcome, _) = hub.until_end(1).await;
    assert_eq!(outcome.end, RunEnd::Failed);
    assert!(lines.iter().map(|line| line.number).eq(1..=400));
    assert!(lines.iter().all(|line| line.text == text));
    hub.attach(2, 0).await;
    assert_eq!(hub.until_end(2).await.2, vec![7; 1 << 20]);
}

/// The one thread that may block hangs until the sender is dropped, as it does when the disk takes nothing.
async fn hang() -> std::sync::mpsc::SyncSender<()> {
    let (end, ended) = std::sync::mpsc::sync_channel(0);
    let (hangs, hung) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(move || {
        hangs.send(()).unwrap();
        let _ = ended.recv();
    });
    hung.await.unwrap();
    end
}

async fn beside_a_disk_that_hangs() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let one = bench.actor().await;
    drop(hub);
    let text = "x".repeat(60_000);
    for _ in 0..10 {
        one.write(&[&text]).await;
    }
    assert_eq!(bench.spilled(), 1);
    let disk = hang().await;
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        one.write(&[&text]).await;
        one.end_well(vec![7; 1 << 20]);
    });
    let mut hub = bench.declared_hub().await;
    hub.attach(1, 0).await;
    let (FromExecutor::Lines { first: 1, .. }, _) = hub.receive().await else {
        panic!("nothing comes of what is in memory");
    };
    hub.kept(1, 1).await;
    hub.start(2, "f").await;
    let two = bench.actor().await;
    two.write(&["two"]).await;
    let run = request_id(2).to_string();
    let how = StopHow::Kill("terminated".to_owned());
    hub.send(ToExecutor::Stop { run, how }).await;
    let is_of_two = |message: &FromExecutor| matches!(message, FromExecutor::Ended { outcome, .. } if outcome.end == RunEnd::Terminated);
    while !is_of_two(&hub.receive().await.0) {}
    let mut hub = bench.hub().await;
    hub.attach(1, 1).await;
    drop(disk);
    let (lines, outcome, result) = hub.until_end(1).await;
    assert!(lines.iter().map(|line| line.number).eq(2..=11));
    assert_eq!((outcome.result_cut, result.len()), (false, 1 << 20));
}

#[test]
fn a_disk_that_hangs_holds_up_nobody_else() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).max_blocking_threads(1);
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(beside_a_disk_that_hangs());
}

#[tokio::test]
async fn a_large_result_waits_for_a_hub_on_disk() {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.send(ToExecutor::Start(start(1, "f"))).await;
    let actor = bench.actor().await;
    drop(hub);
    let result: Vec<u8> = (0..500_000_u32).map(|n| n.to_be_bytes()[3]).collect();
    actor.end_well(result.clone());
    let spilled = async {
        while bench.spilled() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(TEST_TIMEOUT, spilled)
        .await
        .expect("it stays in memory");
    for _ in 0..2 {
        let mut hub = bench.hub().await;
        hub.attach(1, 0).await;
        let (_, outcome, taken) = hub.until_end(1).await;
        assert_eq!(taken, result);
        assert!(!outcome.result_cut);
    }
}
