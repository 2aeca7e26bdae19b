//! What goes in and comes out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tripline_model::LogStream;

use super::{Bench, Recorded, eventually};
use crate::instance::{How, Line, Output, Starter};
use crate::process::{Launcher, ProcessStarter, SpawnRequest};

#[tokio::test]
async fn stdin_and_the_result_are_any_bytes() {
    for length in [1, 65_536, 65_537, 6 << 20] {
        let data: Vec<u8> = (0..length).map(|n| ((n * 31) >> 3) as u8).collect();
        let mut bench = Bench::command(&["cat"]).with_data(data.clone());
        bench.start.max_result_bytes = 8 << 20;
        let exit = bench.run().await;
        assert_eq!(exit.how, How::Exited(0));
        assert!(exit.result == data && !exit.result_cut, "{length}");
    }
}

#[tokio::test]
async fn stdin_that_nobody_reads_is_no_error() {
    let exit = Bench::script("exec <&-; echo fine")
        .with_data(vec![b'x'; 6 << 20])
        .run()
        .await;
    assert_eq!(
        (exit.how, &exit.result[..]),
        (How::Exited(0), &b"fine\n"[..])
    );
}

#[tokio::test]
async fn no_data_is_an_empty_stdin() {
    assert_eq!(
        &Bench::script("cat; echo end").run().await.result[..],
        b"end\n"
    );
}

#[tokio::test]
async fn lines_of_both_streams_are_passed_on_as_written() {
    let bench = Bench::script(r"printf 'a\n\nb\r\n\377\000c'; printf 'oops\nno end' >&2");
    assert_eq!(bench.run().await.how, How::Exited(0));
    let lines = bench.output.0.lock().unwrap().clone();
    let of = |stream| {
        let lines = lines.iter().filter(move |(from, _)| *from == stream);
        lines
            .map(|(_, line)| (line.text.to_vec(), line.complete))
            .collect::<Vec<_>>()
    };
    let line = |text: &[u8], complete| (text.to_vec(), complete);
    let stdout = [
        line(b"a", true),
        line(b"", true),
        line(b"b\r", true),
        line(b"\xff\0c", false),
    ];
    assert_eq!(of(LogStream::Stdout), stdout);
    assert_eq!(
        of(LogStream::Stderr),
        [line(b"oops", true), line(b"no end", false)]
    );
}

#[tokio::test]
async fn a_partial_line_is_passed_on_after_a_moment() {
    let bench = Bench::script("printf 'Pass'; while ! [ -e go ]; do sleep 0.01; done; echo word:");
    let run = bench.start().await.unwrap();
    eventually("the first part", || {
        !bench.output.0.lock().unwrap().is_empty()
    })
    .await;
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    run.end().await;
    let lines: Vec<Line> = bench
        .output
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(_, line)| line.clone())
        .collect();
    let parts = [("Pass", false), ("word:", true)];
    assert_eq!(
        lines,
        parts.map(|(text, complete)| Line {
            text: text.into(),
            complete
        })
    );
}

/// Such as a progress bar, which writes more often than a partial line is waited for.
#[tokio::test]
async fn a_line_that_keeps_growing_is_passed_on_in_parts() {
    let bench = Bench::script("while ! [ -e go ]; do printf .; sleep 0.05; done; echo");
    let run = bench.start().await.unwrap();
    eventually("two parts", || bench.output.0.lock().unwrap().len() >= 2).await;
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    run.end().await;
    let lines = bench.output.0.lock().unwrap();
    assert!(lines[..2].iter().all(|(_, line)| !line.complete));
    // Parts, not single dots: they are passed on when the first of them is old.
    assert!(lines[0].1.text.starts_with(b".."), "{lines:?}");
}

#[tokio::test]
async fn long_lines_are_split() {
    let bench = Bench::script("head -c 150000 /dev/zero | tr '\\0' x; echo; echo short");
    assert_eq!(bench.run().await.how, How::Exited(0));
    let lines = bench.output.0.lock().unwrap();
    let text: usize = lines.iter().map(|(_, line)| line.text.len()).sum();
    assert_eq!(text, 150_005);
    assert!(lines.iter().all(|(_, line)| line.text.len() <= 65_536));
    assert_eq!(lines.iter().filter(|(_, line)| line.complete).count(), 2);
}

#[tokio::test]
async fn a_large_result_is_cut_and_fully_passed_on() {
    let bench = Bench::script("yes 0123456789abcde | head -c 10485760");
    let exit = bench.run().await;
    assert!(exit.result_cut && exit.how == How::Exited(0));
    assert_eq!(exit.result, b"0123456789abcde\n".repeat(64));
    assert_eq!(bench.output.texts_of(LogStream::Stdout).len(), 655_360);
}

#[tokio::test]
async fn closed_output_is_not_the_end() {
    let bench = Bench::script("exec >&- 2>&-; sleep 0.3; echo ran > ran; exit 5");
    assert_eq!(bench.run().await.how, How::Exited(5));
    assert_eq!(bench.file("ran").await, "ran");
}

/// What a warm instance needs: each run gets what was written while it was on.
#[tokio::test]
async fn an_exchanged_output_gets_its_own_lines() {
    let script = "echo init; for n in 1 2 3; do while ! [ -e $n ]; do sleep 0.01; done; \
                  printf \"out$n\\npart$n\"; echo err$n >&2; touch said$n; done; sleep 600";
    let bench = Bench::script(script);
    let launcher = Launcher::new(bench.surroundings());
    let request = SpawnRequest {
        spec: Arc::new(bench.spec.clone()),
        name: bench.id.to_string(),
        variables: Vec::new(),
        credentials: None,
        has_role: false,
        stdin: None,
        keep_stdout: 0,
    };
    let mut spawned = launcher.spawn(request).await.unwrap();
    for n in ["1", "2", "3"] {
        let output = Arc::new(Recorded::default());
        spawned.tap().attach(output.clone()).await;
        std::fs::write(bench.dir.path().join(n), "").unwrap();
        let marker = bench.dir.path().join(format!("said{n}"));
        eventually("its output", || marker.exists()).await;
        spawned.tap().detach().await;
        let first = if n == "1" {
            vec!["init".to_owned()]
        } else {
            Vec::new()
        };
        let stdout = [first, vec![format!("out{n}"), format!("part{n}")]].concat();
        assert_eq!(output.texts_of(LogStream::Stdout), stdout);
        assert_eq!(output.texts_of(LogStream::Stderr), [format!("err{n}")]);
    }
    let before = tokio::time::Instant::now();
    let over = spawned.reclaim().await;
    assert!(over.remains.is_none() && over.how == How::Signaled(9));
    assert!(before.elapsed() < Duration::from_secs(5));
}

/// Takes nothing, as where a disk hangs.
#[derive(Default)]
struct Stuck(Mutex<Vec<String>>);

#[async_trait]
impl Output for Stuck {
    async fn lines(&self, _stream: LogStream, _lines: Vec<Line>) {
        std::future::pending().await
    }

    fn cut(&self, why: &str) {
        self.0.lock().unwrap().push(why.to_owned());
    }
}

#[tokio::test]
async fn lines_that_are_never_taken_are_given_up_with_a_word() {
    let bench = Bench::script("until [ -e go ]; do sleep 0.01; done; echo a; echo b");
    let stuck = Arc::new(Stuck::default());
    let mut job = bench.job();
    job.output = stuck.clone();
    let starter = ProcessStarter::new(bench.surroundings());
    let mut instance = starter.start(job).await.unwrap();
    std::fs::write(bench.dir.path().join("go"), "").unwrap();
    instance.wait().await;
    tokio::time::pause();
    let exit = instance.reclaim().await;
    assert_eq!((exit.how, exit.result_cut), (How::Exited(0), true));
    let remarks = stuck.0.lock().unwrap().clone();
    assert_eq!(remarks, ["the rest was not taken within 10 s"]);
}
