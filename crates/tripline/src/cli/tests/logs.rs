//! `logs`.

use serde_json::json;

use super::{Exit, FakeHub, pipe, terminal};

const LOGS: &str = "GET /v1/invocations/r-1/logs";
const LINES: &str = r#"[{"seq":1,"at":"2026-11-24T11:00:00.000Z","stream":"stdout","text":"a\u001b[2J\tb"},
    {"seq":2,"at":"2026-11-24T11:00:01.000Z","stream":"stderr","text":"\\xff\n","text_base64":"/wo=","complete":true}]"#;

#[tokio::test]
async fn text_is_raw_in_a_pipe_and_escaped_on_a_terminal() {
    let hub = FakeHub::start().await;
    hub.answer(LOGS, 200, LINES);
    let ran = pipe(&hub, &["logs", "r-1"]).await;
    assert_eq!(
        (ran.exit, &*ran.out),
        (Exit::Done, "a\x1b[2J\tb\n\u{fffd}\n\n")
    );
    assert_eq!(
        hub.asked()[0].line,
        format!("{LOGS}?format=json&after=0&limit=1000")
    );
    let ran = terminal(&hub, &["logs", "r-1", "--timestamps"]).await;
    let first = "2026-11-24T11:00:00.000Z stdout a\\u{1b}[2J\tb\n";
    let second = "2026-11-24T11:00:01.000Z stderr \\xff\\n\n";
    assert_eq!(ran.out, format!("{first}{second}"));
}

#[tokio::test]
async fn it_is_said_why_there_is_no_log() {
    let hub = FakeHub::start().await;
    hub.answer(LOGS, 200, "[]");
    let to = "GET /v1/invocations/r-1";
    hub.answer(to, 200, r#"{"state":"expired","reason":"too_old"}"#);
    hub.answer(to, 200, r#"{"state":"accepted","reason":null}"#);
    let ran = pipe(&hub, &["logs", "r-1"]).await;
    assert_eq!(
        (ran.exit, &*ran.out, &*ran.err),
        (Exit::Done, "", "never started: expired (too_old)\n")
    );
    let ran = pipe(&hub, &["logs", "r-1"]).await;
    assert_eq!(ran.err, "not started yet: accepted\n");
}

#[tokio::test]
async fn a_long_log_is_read_page_by_page() {
    let hub = FakeHub::start().await;
    let line = |seq: u64| serde_json::json!({ "seq": seq, "text": "x" });
    let full: Vec<_> = (1..=1000).map(line).collect();
    hub.answer(LOGS, 200, serde_json::to_vec(&full).unwrap());
    hub.answer(LOGS, 200, serde_json::to_vec(&[line(1001)]).unwrap());
    let ran = pipe(&hub, &["logs", "r-1"]).await;
    assert_eq!(ran.out.lines().count(), 1001);
    assert_eq!(
        hub.asked()[1].line,
        format!("{LOGS}?format=json&after=1000&limit=1000")
    );
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_where_it_broke() {
    let hub = FakeHub::start().await;
    hub.answer(
        LOGS,
        200,
        ": hi\n\nid: 1\ndata: {\"seq\":1,\"text\":\"a\"}\n\nid: 2\ndata: {\"seq\":2",
    );
    hub.answer(LOGS, 200, "id: 2\ndata: {\"seq\":2,\"text\":\"b\"}\n\nevent: end\ndata: {\"state\":\"succeeded\"}\n\n");
    let ran = pipe(&hub, &["logs", "-f", "r-1"]).await;
    assert_eq!(
        (ran.exit, &*ran.out, &*ran.err),
        (Exit::Done, "a\nb\n", "succeeded\n")
    );
    let resumed: Vec<_> = hub
        .asked()
        .iter()
        .map(|asked| asked.headers["last-event-id"].clone())
        .collect();
    assert_eq!(resumed, ["0", "1"]);
}

#[tokio::test]
async fn a_reason_that_is_the_state_is_said_once() {
    let hub = FakeHub::start().await;
    let end = r#"{"state":"terminated","reason":"terminated"}"#;
    hub.answer(LOGS, 200, format!("event: end\ndata: {end}\n\n"));
    let ran = pipe(&hub, &["logs", "-f", "r-1"]).await;
    assert_eq!((ran.exit, &*ran.err), (Exit::Failed, "terminated\n"));
}

#[tokio::test]
async fn an_unknown_invocation_is_not_followed_for_ever() {
    let hub = FakeHub::start().await;
    hub.answer(LOGS, 404, r#"{"title":"there is no such invocation"}"#);
    let ran = pipe(&hub, &["logs", "-f", "r-1"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert_eq!(hub.asked().len(), 1);
}

#[tokio::test]
async fn a_line_that_goes_on_is_ended_where_another_stream_speaks() {
    let hub = FakeHub::start().await;
    let line = |seq: u64, stream: &str, text: &str, complete: bool| {
        let line = [
            ("seq", json!(seq)),
            ("stream", json!(stream)),
            ("text", json!(text)),
        ];
        let line = line.into_iter().chain([("complete", json!(complete))]);
        line.collect::<std::collections::BTreeMap<_, _>>()
    };
    let lines = [
        line(1, "stdout", "50 ", false),
        line(2, "stdout", "%", true),
        line(3, "stdout", "$ ", false),
        line(4, "system", "END", true),
        line(5, "stdout", "> ", false),
    ];
    hub.answer(LOGS, 200, serde_json::to_vec(&lines).unwrap());
    for ran in [
        pipe(&hub, &["logs", "r-1"]).await,
        terminal(&hub, &["logs", "r-1"]).await,
    ] {
        assert_eq!(ran.out, "50 %\n$ \nEND\n> \n");
    }
}
