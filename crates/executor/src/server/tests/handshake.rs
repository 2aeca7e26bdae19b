//! Who may talk to an executor, and what the others are told.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Bench, connect, key, receive};
use crate::protocol::{
    FromExecutor, Hello, Refusal, ToExecutor, VERSIONS, Value, Versions, write_frame,
};
use crate::tests::{as_nobody, is_root, open_to_all};

async fn refusal(stream: &mut BufReader<UnixStream>) -> Refusal {
    let (FromExecutor::Refused(refusal), _) = receive(stream).await else {
        panic!("not refused");
    };
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "something followed");
    refusal
}

#[tokio::test]
async fn a_hub_is_told_who_is_there() {
    let bench = Bench::open();
    let welcome = bench.hub().await.welcome;
    assert_eq!(welcome.version, 1);
    assert_eq!(welcome.executor, "executor-1");
    assert_eq!(welcome.release, "0.1.0");
    assert_eq!(welcome.pid, std::process::id());
    assert_eq!(welcome.level, "nothing is real here");
    assert!(welcome.runs.is_empty() && !welcome.retired);
}

#[tokio::test]
async fn a_mismatch_is_explained() {
    let bench = Bench::open();
    let mut stream = BufReader::new(bench.connect().await);
    let hello = ToExecutor::Hello(Hello {
        versions: Versions { from: 7, to: 9 },
        release: "9.0.0".to_owned(),
        key: key(&bench.dir),
    });
    write_frame(&mut stream, &hello, &[]).await.unwrap();
    stream.flush().await.unwrap();
    let refusal = refusal(&mut stream).await;
    assert_eq!(refusal.versions, VERSIONS);
    assert_eq!(
        refusal.why,
        "the executor (release 0.1.0) speaks version 1, the hub (release 9.0.0) speaks \
         versions 7 to 9: there is no version that both speak"
    );
}

#[tokio::test]
async fn who_cannot_read_the_directory_is_refused() {
    let bench = Bench::open();
    let mut stream = BufReader::new(bench.connect().await);
    let hello = ToExecutor::Hello(Hello {
        versions: VERSIONS,
        release: "0.1.0".to_owned(),
        key: Value::new("0".repeat(64)),
    });
    write_frame(&mut stream, &hello, &[]).await.unwrap();
    stream.flush().await.unwrap();
    let why = refusal(&mut stream).await.why;
    assert_eq!(why, "the key is not the one in this executor's directory");
}

#[tokio::test]
async fn who_does_not_say_hello_is_refused() {
    let bench = Bench::open();
    let mut stream = BufReader::new(bench.connect().await);
    write_frame(&mut stream, &ToExecutor::Retire, &[])
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let why = refusal(&mut stream).await.why;
    assert_eq!(why, "the first message to an executor must be `hello`");
    let mut stream = BufReader::new(bench.connect().await);
    write_frame(&mut stream, &"what?", &[]).await.unwrap();
    stream.flush().await.unwrap();
    let why = refusal(&mut stream).await.why;
    assert!(why.contains("not a message"), "{why}");
}

#[tokio::test]
async fn another_user_is_not_even_listened_to() {
    if !is_root("connections of another user") {
        return;
    }
    let bench = Bench::open();
    // It is there.
    drop(bench.connect().await);
    let socket = bench.dir.join("socket");
    for path in [bench.dir.parent().unwrap(), &bench.dir, &socket] {
        open_to_all(path);
    }
    let stream = as_nobody(|| std::os::unix::net::UnixStream::connect(&socket).unwrap());
    stream.set_nonblocking(true).unwrap();
    let mut stream = UnixStream::from_std(stream).unwrap();
    let hello = ToExecutor::Hello(Hello {
        versions: VERSIONS,
        release: "0.1.0".to_owned(),
        key: key(&bench.dir),
    });
    // It may be closed already.
    let _ = write_frame(&mut stream, &hello, &[]).await;
    let received = stream.read(&mut [0; 8]).await.unwrap_or(0);
    assert_eq!(received, 0, "it was answered");
}

#[tokio::test]
async fn a_stranger_cannot_have_much_memory() {
    let bench = Bench::open();
    let mut stream = BufReader::new(bench.connect().await);
    let lengths = [0, 0, 16, 1, 0, 0, 0, 0];
    stream.write_all(&lengths).await.unwrap();
    let why = refusal(&mut stream).await.why;
    assert!(
        why.ends_with("4097 bytes is more than the 4096 that are allowed"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_sent_away() {
    let bench = Bench::open();
    let mut stream = bench.connect().await;
    let began = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_keeps_no_hub_out() {
    let bench = Bench::open();
    let mut silent = JoinSet::new();
    let began = Instant::now();
    for _ in 0..40 {
        let dir = bench.dir.clone();
        silent.spawn(async move {
            loop {
                let mut stream = connect(&dir).await;
                // Until there is no place for it any more.
                let _ = stream.read(&mut [0]).await;
            }
        });
    }
    for _ in 0..10 {
        bench.hub().await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_new_hub_replaces_the_one_before() {
    let bench = Bench::open();
    let mut old = bench.hub().await;
    // Who does not get through the first words replaces nobody.
    let mut stream = BufReader::new(bench.connect().await);
    write_frame(&mut stream, &ToExecutor::Retire, &[])
        .await
        .unwrap();
    stream.flush().await.unwrap();
    refusal(&mut stream).await;
    old.start(1, "unknown").await;
    old.until_end(1).await;
    let _new = bench.hub().await;
    let mut rest = Vec::new();
    old.stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "something followed");
}
