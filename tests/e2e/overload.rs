//! The limit: what is over it is refused, and what is refused never runs.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tripline_tests::Hub;

const CONFIG: &str = r#"
[hub]
qps = 1000
[functions.nothing]
command = ["true"]
# Few runs beside the calls: it is those that are to be fast.
concurrency = 1
[triggers.hook]
kind = "http"
function = "nothing"
route = "POST /hook"
auth = "none"
"#;

const CONNECTIONS: usize = 30;
const CALLS_EACH: usize = 100;

/// Longer than all other tests take together.
const PATIENCE: Duration = Duration::from_secs(300);

/// Pipelines calls on one connection; gives how many were accepted, and how many refused as over the limit.
async fn call(address: String) -> (usize, usize) {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let last = "POST /hook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let call = "POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let calls = call.repeat(CALLS_EACH - 1) + last;
    let (mut read, mut write) = stream.split();
    let mut answers = String::new();
    let (sent, received) = tokio::join!(
        write.write_all(calls.as_bytes()),
        read.read_to_string(&mut answers)
    );
    sent.unwrap();
    received.unwrap();
    (
        answers.matches("HTTP/1.1 202 ").count(),
        answers.matches("HTTP/1.1 429 ").count(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_calls_in_a_second_give_a_thousand_receipts() {
    // Beside other tests the calls may take longer than the second they are meant for: then they are made again, by a
    // hub that has seen none, until those others are over.
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        let hub = Hub::start(CONFIG).await;
        let address = hub.gateway("").replace("http://", "");
        let begun = tokio::time::Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..CONNECTIONS {
            calls.spawn(call(address.clone()));
        }
        let answers = calls.join_all().await;
        let took = begun.elapsed();
        let accepted: usize = answers.iter().map(|answer| answer.0).sum();
        let refused: usize = answers.iter().map(|answer| answer.1).sum();
        assert_eq!(
            accepted + refused,
            CONNECTIONS * CALLS_EACH,
            "every call has an answer"
        );
        if took < Duration::from_secs(1) {
            assert_eq!((accepted, refused), (1000, 2000), "in {took:?}");
            assert_eq!(
                hub.invocations("").await.len(),
                1000,
                "a refused call leaves no record"
            );
            return;
        }
        assert!(accepted >= 1000, "{accepted} in {took:?}");
    }
    panic!("the calls never fitted into a second: this machine is too busy to tell");
}
