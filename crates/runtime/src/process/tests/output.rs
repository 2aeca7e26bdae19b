//! What goes in and comes out.

use bytes::Bytes;
use tripline_model::{End, LogStream};

use super::{Bench, assert_end, result};

#[tokio::test]
async fn stdin_and_the_result_are_any_bytes() {
    let data: Vec<u8> = (0..300_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let mut bench = Bench::command(&["cat"]).with_data(data.clone());
    bench.function.max_result_bytes = 1 << 20;
    let ending = bench.run().await;
    assert_end(&ending, End::Succeeded, "exit_code");
    assert!(result(&ending) == data && !ending.result_cut);
}

#[tokio::test]
async fn stdin_that_nobody_reads_is_no_error() {
    let bench = Bench::script("exec <&-; echo fine").with_data(vec![b'x'; 4 << 20]);
    let ending = bench.run().await;
    assert_end(&ending, End::Succeeded, "exit_code");
    assert_eq!(result(&ending), b"fine\n");
}

#[tokio::test]
async fn no_data_is_an_empty_stdin() {
    for data in [None, Some(Bytes::new())] {
        let mut bench = Bench::script("cat; echo end");
        bench.event.data = data;
        assert_eq!(result(&bench.run().await), b"end\n");
    }
}

#[tokio::test]
async fn lines_of_both_streams_are_logged_as_written() {
    let bench = Bench::script(r"printf 'a\n\nb\r\n\377\000c'; printf 'oops\nno end' >&2");
    assert_end(&bench.run().await, End::Succeeded, "exit_code");
    let lines = bench.output.0.lock().unwrap().clone();
    let of = |stream| {
        let lines = lines.iter().filter(move |(from, _)| *from == stream);
        lines.map(|(_, line)| line.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(of(LogStream::Stdout), [&b"a"[..], b"", b"b\r", b"\xff\0c"]);
    assert_eq!(of(LogStream::Stderr), [&b"oops"[..], b"no end"]);
}

#[tokio::test]
async fn long_lines_are_split() {
    let bench = Bench::script("head -c 150000 /dev/zero | tr '\\0' x; echo; echo short");
    assert_end(&bench.run().await, End::Succeeded, "exit_code");
    let lengths: Vec<_> = bench
        .lines(LogStream::Stdout)
        .iter()
        .map(String::len)
        .collect();
    assert_eq!(lengths, [65_536, 65_536, 18_928, 5]);
}

#[tokio::test]
async fn a_large_result_is_cut_and_fully_logged() {
    let bench = Bench::script("yes 0123456789abcde | head -c 10485760");
    let ending = bench.run().await;
    assert_end(&ending, End::Succeeded, "exit_code");
    assert!(ending.result_cut);
    assert_eq!(result(&ending), b"0123456789abcde\n".repeat(64));
    assert_eq!(bench.lines(LogStream::Stdout).len(), 655_360);
}

#[tokio::test]
async fn closed_output_is_not_the_end() {
    let bench = Bench::script("exec >&- 2>&-; sleep 0.3; echo ran > ran; exit 5");
    let ending = bench.run().await;
    assert_end(&ending, End::Failed, "exit_code");
    assert_eq!(ending.exit_code, Some(5));
    assert_eq!(bench.file("ran").await, "ran");
}
