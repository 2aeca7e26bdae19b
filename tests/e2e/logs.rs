//! A run's log while it runs.
//!
//! It has the exact bytes, in order, with START, END and Report, unfinished lines included. A follower resumes over a
//! restart and gets each line when it is written, at the API and by `logs -f`; the time of a line lies between the
//! two. `speed` has how soon that is at 1,000 lines a second.

mod speed;

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tripline_tests::{Hub, eventually};

const CONFIG: &str = r#"
[functions.script]
command = ["sh", "-s"]
timeout = "5m"
"#;

/// The events of a stream that begins after line `after`, up to `count` of them or its end.
async fn events(hub: &Hub, id: &str, after: Option<u64>, count: usize) -> Vec<Value> {
    let mut request = hub.request(&format!("/v1/invocations/{id}/logs?follow=true"));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let mut answer = request.send().await.expect("the hub answers");
    let (mut text, mut found) = (Vec::new(), Vec::new());
    while let Some(chunk) = answer.chunk().await.expect("the stream goes on") {
        text.extend_from_slice(&chunk);
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            let event = String::from_utf8(event).expect("events are text");
            if event.contains("event: end") {
                return found;
            }
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            found.extend(
                data.map(|data| serde_json::from_str::<Value>(data).expect("data is JSON")),
            );
            if found.len() == count {
                return found;
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_exact_and_says_when_it_begins_and_ends() {
    let hub = Hub::start(CONFIG).await;
    let script = "printf 'bad \\377 byte\\n'; printf 'no end'; echo error >&2; sleep 0.5; printf ' of it\\n'; printf 'last'; exit 4";
    let id = hub.invoke("script", script).await;
    hub.ended(&id).await;
    let log = hub.log(&id).await;
    let of = |stream: &str| -> Vec<&Value> {
        log.iter().filter(|line| line["stream"] == stream).collect()
    };
    let text = |line: &Value| line["text"].as_str().unwrap_or_default().to_owned();

    let stdout = of("stdout");
    assert!(text(stdout[0]).contains("bad"), "{log:#?}");
    assert_eq!(stdout[0]["text_base64"], "YmFkIP8gYnl0ZQ==", "{log:#?}");
    // What has no end yet is shown after a moment, and says that more may follow.
    assert_eq!(
        (text(stdout[1]), &stdout[1]["complete"]),
        ("no end".into(), &false.into())
    );
    assert_eq!(
        (text(stdout[2]), &stdout[2]["complete"]),
        (" of it".into(), &true.into())
    );
    assert_eq!(text(of("stderr")[0]), "error");

    let system: Vec<_> = of("system").into_iter().map(text).collect();
    assert_eq!(system[0], format!("START RequestId:{id}"));
    assert!(
        system[1].starts_with(&format!("ERROR RequestId:{id} Result:")),
        "{system:?}"
    );
    assert_eq!(system[2], format!("END RequestId:{id}"));
    assert!(
        system[3].starts_with(&format!("Report RequestId:{id} Duration:")),
        "{system:?}"
    );
    assert!(system[3].ends_with("Code:439"), "{system:?}");
    let numbers: Vec<_> = log
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=log.len() as u64).collect::<Vec<_>>());
    let first = &log[0]["text"];
    assert_eq!(
        first.as_str(),
        Some(system[0].as_str()),
        "the log begins with START"
    );

    // As plain text the bytes are what the function wrote.
    let plain = hub
        .request(&format!("/v1/invocations/{id}/logs"))
        .send()
        .await
        .unwrap();
    let plain = plain.bytes().await.unwrap();
    let exact = b"bad \xff byte\n".as_slice();
    assert!(
        plain.windows(exact.len()).any(|bytes| bytes == exact),
        "{plain:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_resumes_where_it_was_also_over_a_restart() {
    let mut hub = Hub::start(CONFIG).await;
    let script = "i=0; while [ $i -lt 200 ]; do i=$((i + 1)); echo line $i; sleep 0.02; done";
    let id = hub.invoke("script", script).await;
    hub.running(&id).await;
    let mut seen = events(&hub, &id, None, 20).await;
    let last = |seen: &[Value]| seen.last().and_then(|line| line["seq"].as_u64());
    seen.extend(events(&hub, &id, last(&seen), 30).await);
    hub.kill().await;
    hub.launch().await;
    eventually("the rest is read", async || {
        seen.extend(events(&hub, &id, last(&seen), 1000).await);
        seen.iter()
            .any(|line| line["text"] == "line 200")
            .then_some(())
    })
    .await;
    let lines = seen.iter().filter(|line| line["stream"] == "stdout");
    let texts: Vec<_> = lines.filter_map(|line| line["text"].as_str()).collect();
    let expected: Vec<_> = (1..=200).map(|i| format!("line {i}")).collect();
    assert_eq!(texts, expected, "each line once, in order");
}

/// Writes lines that say when they were written, each only when the one before has been seen.
const ANSWERS: &str = "
n=0
while [ $n -lt 200 ]; do
    n=$((n + 1))
    echo line $n at $(date +%s%3N)
    while [ ! -e seen-$n ]; do sleep 0.01; done
done";

/// How long all lines may take together: half of what they would if somebody looked for them twice a second.
const TURNS: Duration = Duration::from_secs(50);

/// Milliseconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "the hub under test goes by the real time"
)]
fn now() -> i64 {
    millis(DateTime::from(SystemTime::now()))
}

fn millis(at: DateTime) -> i64 {
    at.to_millis().expect("it is a time of today")
}

/// The number of a line that `ANSWERS` wrote, and when it was written.
fn number_and_time(text: &str) -> Option<(usize, i64)> {
    let (number, at) = text.strip_prefix("line ")?.split_once(" at ")?;
    Some((number.parse().ok()?, at.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_each_line_when_it_is_written() {
    let hub = Hub::start(CONFIG).await;
    let id = hub.invoke("script", ANSWERS).await;
    let request = hub.request(&format!("/v1/invocations/{id}/logs?follow=true"));
    let mut answer = request.send().await.expect("the hub answers");
    // When each was seen.
    let mut seen = Vec::new();
    let turns = async {
        let mut text = String::new();
        while seen.len() < 200 {
            let chunk = answer.chunk().await.expect("the stream goes on");
            let chunk = chunk.expect("the log goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
            while text.contains(&format!("\"line {} at ", seen.len() + 1)) {
                seen.push(now());
                hub.write(&format!("seen-{}", seen.len()), "");
            }
        }
    };
    let in_time = tokio::time::timeout(TURNS, turns).await;
    assert!(in_time.is_ok(), "each line waits for somebody who looks");
    assert_eq!(hub.ended(&id).await["state"], "succeeded");

    // Each has a time between its writing and its being seen.
    let log = hub.log(&id).await;
    let lines = log.iter().filter(|line| line["stream"] == "stdout");
    let mut count = 0;
    for (line, seen) in lines.zip(seen) {
        count += 1;
        let (number, written) =
            number_and_time(line["text"].as_str().unwrap()).expect("it says when");
        let at = line["at"].as_str().unwrap();
        let at = millis(DateTime::from_str(at, DateTimeFormat::DateTime).unwrap());
        assert_eq!(number, count, "{line}");
        assert!(written <= at && at <= seen, "{written} to {seen}: {line}");
    }
    assert_eq!(count, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_each_line_when_it_is_written() {
    let hub = Hub::start(CONFIG).await;
    let id = hub.invoke("script", ANSWERS).await;
    let mut command = tokio::process::Command::from(hub.command(&["logs", "-f", &id]));
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines();
    let turns = async {
        let mut next = 1;
        while let Some(line) = shown.next_line().await.expect("it goes on") {
            if let Some((number, _)) = number_and_time(&line) {
                assert_eq!(number, next, "each line once, in order");
                hub.write(&format!("seen-{next}"), "");
                next += 1;
            }
        }
        next - 1
    };
    let count = tokio::time::timeout(TURNS, turns).await;
    assert_eq!(count, Ok(200), "each line waits for somebody who looks");
    assert!(child.wait().await.unwrap().success());
}
