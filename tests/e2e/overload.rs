//! The limit: what is over it is refused, and what is refused never runs.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tripline_tests::Hub;

/// Events in any second.
const LIMIT: usize = 100;

const CONFIG: &str = r#"
[hub]
qps = LIMIT
[functions.note]
command = ["sh", "-c", "echo $TRIPLINE_REQUEST_ID >> ledger"]
# Few runs beside the calls: it is those that are to be fast.
concurrency = 1
[triggers.hook]
kind = "http"
function = "note"
route = "POST /hook"
auth = "none"
"#;

const CONNECTIONS: usize = 10;
const CALLS_EACH: usize = 30;

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
    let refused = answers.matches("HTTP/1.1 429 ").count();
    let counted = answers.matches("\"accepted\":\"no\"").count();
    assert_eq!(counted, refused, "a refusal says that nothing was accepted");
    (answers.matches("HTTP/1.1 202 ").count(), refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_hundred_calls_a_second_takes_a_hundred_and_no_other_runs() {
    let mut hub = Hub::prepare(&CONFIG.replace("LIMIT", &LIMIT.to_string()));
    hub.write("ledger", "");
    hub.launch().await;
    let address = hub.gateway("").replace("http://", "");
    let mut calls = JoinSet::new();
    for _ in 0..CONNECTIONS {
        calls.spawn(call(address.clone()));
    }
    let answers = calls.join_all().await;
    let accepted: usize = answers.iter().map(|answer| answer.0).sum();
    let refused: usize = answers.iter().map(|answer| answer.1).sum();
    assert_eq!(
        accepted + refused,
        CONNECTIONS * CALLS_EACH,
        "every call has an answer"
    );
    // On a busy machine they take more than a second: then more than one second's worth is accepted, and no second has more.
    assert!(accepted >= LIMIT, "{accepted} where {LIMIT} could be");
    let records = hub.records_within(LIMIT).await;
    assert_eq!(records, accepted, "a refused call leaves no record");
    hub.ended_of("hook", accepted).await;
    assert_eq!(hub.lines("ledger").len(), accepted, "each ran once");
}
