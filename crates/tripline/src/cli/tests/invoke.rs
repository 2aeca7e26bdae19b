//! `invoke`.

use super::{Exit, FakeHub, into_full_disk, pipe, terminal};

const CALL: &str = "POST /v1/functions/deploy/invocations";

#[tokio::test]
async fn an_async_call_prints_the_id_alone() {
    let hub = FakeHub::start().await;
    hub.answer(CALL, 202, r#"{"request_id":"r-1"}"#);
    let args = [
        "invoke",
        "deploy",
        "--data",
        "{}",
        "--content-type",
        "application/json",
        "--key",
        "k",
    ];
    let ran = pipe(&hub, &args).await;
    assert_eq!((ran.exit, &*ran.out, &*ran.err), (Exit::Done, "r-1\n", ""));
    let asked = &hub.asked()[0];
    assert_eq!(asked.body, b"{}");
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["idempotency-key"], "k");
}

#[tokio::test]
async fn data_comes_from_text_a_file_or_standard_input() {
    let hub = FakeHub::start().await;
    hub.answer(CALL, 202, r#"{"request_id":"r-1"}"#);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    std::fs::write(&file, [0, 255, 10]).unwrap();
    let at_file = format!("@{}", file.display());
    for data in ["", "-text", "-", &at_file] {
        assert_eq!(
            pipe(&hub, &["invoke", "deploy", "--data", data]).await.exit,
            Exit::Done
        );
    }
    let bodies: Vec<_> = hub.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, [&b""[..], b"-text", b"from stdin", &[0, 255, 10]]);
    let ran = pipe(&hub, &["invoke", "deploy", "--data", "@/no/such/file"]).await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("/no/such/file"), "{ran:?}");
}

#[tokio::test]
async fn a_sync_call_prints_the_result() {
    let hub = FakeHub::start().await;
    hub.answer(CALL, 200, "done\x07");
    let log = r#"[{"seq":1,"text":"so\u0007"}]"#;
    hub.answer("GET /v1/invocations/the-id/logs", 200, log);
    let ran = pipe(&hub, &["invoke", "deploy", "--follow"]).await;
    assert_eq!(
        (ran.exit, &*ran.out, &*ran.err),
        (Exit::Done, "done\x07", "RequestId: the-id\nso\\u{7}\n")
    );
    let ran = terminal(&hub, &["invoke", "deploy"]).await;
    assert_eq!(ran.out, "done\\u{7}\n");
}

#[tokio::test]
async fn an_id_that_cannot_be_printed_is_said_elsewhere() {
    let hub = FakeHub::start().await;
    hub.answer(CALL, 202, r#"{"request_id":"r-1"}"#);
    let ran = into_full_disk(&hub, &["invoke", "deploy"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.starts_with("RequestId: r-1\n"), "{ran:?}");
}

#[tokio::test]
async fn another_web_server_has_called_no_function() {
    let hub = FakeHub::start().await;
    hub.is_a_stranger();
    hub.answer(CALL, 200, "<html>Please log in</html>");
    let ran = pipe(&hub, &["invoke", "deploy"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Failed, ""));
    assert!(ran.err.contains("not a Tripline hub"), "{ran:?}");
}

#[tokio::test]
async fn a_refusal_is_shown_with_its_id() {
    let hub = FakeHub::start().await;
    let problem =
        r#"{"title":"the invocation ended as failed","detail":"exit code 3","request_id":"r-9"}"#;
    hub.answer(CALL, 502, problem);
    let ran = pipe(&hub, &["invoke", "deploy"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    let words = "tripline: the invocation ended as failed: exit code 3\nRequestId: r-9\n";
    assert_eq!(ran.err, words);
    assert_eq!(ran.out, "");
    let log = r#"[{"seq":1,"text":"no such codec"}]"#;
    hub.answer("GET /v1/invocations/r-9/logs", 200, log);
    let ran = pipe(&hub, &["invoke", "deploy", "--follow"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Failed, ""));
    assert_eq!(ran.err, format!("no such codec\n{words}"));
}

#[tokio::test]
async fn follow_prints_the_log_and_takes_the_exit_code_of_the_end() {
    let hub = FakeHub::start().await;
    hub.answer(CALL, 202, r#"{"request_id":"r-1"}"#);
    let log = "id: 1\ndata: {\"seq\":1,\"text\":\"hi\"}\n\nevent: end\ndata: {\"state\":\"failed\",\"reason\":\"exit_code\"}\n\n";
    hub.answer("GET /v1/invocations/r-1/logs", 200, log);
    let ran = pipe(&hub, &["invoke", "deploy", "--follow"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Failed, "hi\n"));
    assert_eq!(ran.err, "RequestId: r-1\nfailed: exit_code\n");
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_a_usage_error() {
    let hub = FakeHub::start().await;
    let ran = pipe(&hub, &["invoke", "deploy", "--key", "a\nb"]).await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(hub.asked().is_empty());
}

#[tokio::test]
async fn a_cut_result_is_not_handed_over_silently() {
    let hub = FakeHub::start().await;
    hub.cuts();
    hub.answer(CALL, 200, "12345");
    let ran = pipe(&hub, &["invoke", "deploy"]).await;
    assert_eq!((ran.exit, &*ran.out), (Exit::Done, "12345"));
    let words = "tripline: the result was cut at 5 bytes (`max_result` of the function): the rest was not kept\n";
    assert_eq!(ran.err, words);
}

#[tokio::test]
async fn a_hub_that_goes_away_after_it_was_asked_may_have_accepted() {
    let hub = FakeHub::that_goes_away(b"").await;
    let ran = pipe(&hub, &["invoke", "deploy"]).await;
    assert_eq!(ran.exit, Exit::Failed, "{ran:?}");
    for words in [
        "went away before it answered",
        "may have been accepted, and may run",
        "`tripline ps --function deploy`",
        "give a `--key` next time",
    ] {
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
    assert!(!ran.err.contains("Is it running?"), "{ran:?}");

    let hub = FakeHub::that_goes_away(b"").await;
    let ran = pipe(&hub, &["invoke", "deploy", "--key", "k 1"]).await;
    assert_eq!(ran.exit, Exit::Failed, "{ran:?}");
    assert!(ran.err.contains("the same `--key 'k 1'`"), "{ran:?}");
}

#[tokio::test]
async fn a_hub_that_goes_away_while_it_answers_has_accepted() {
    let begun = b"HTTP/1.1 202 Accepted\r\ntripline-request-id: r-1\r\ncontent-length: 40\r\n\r\n{";
    let whole = b"HTTP/1.1 202 Accepted\r\ntripline-request-id: r-1\r\ncontent-length: 20\r\n\r\n{\"request_id\":\"r-1\"}";
    for (answer, args) in [
        (&begun[..], &["invoke", "deploy"][..]),
        (&whole[..], &["invoke", "deploy", "--follow"]),
    ] {
        let hub = FakeHub::that_goes_away(answer).await;
        let ran = pipe(&hub, args).await;
        assert_eq!(ran.exit, Exit::Failed, "{ran:?}");
        let words = "The event is accepted: look with `tripline show r-1`\n";
        assert!(ran.err.ends_with(words), "{ran:?}");
    }
}

#[tokio::test]
async fn a_hub_that_goes_away_while_it_refuses_has_refused() {
    for (begun, words, exit) in [
        (
            &b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 40\r\n\r\n{"[..],
            "refused with HTTP 429: the hub went away before it said why",
            Exit::Failed,
        ),
        (
            b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 40\r\n\r\n{",
            "refused with HTTP 401: the hub went away before it said why",
            Exit::Unauthorised,
        ),
        // Here the body says what was accepted.
        (
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 40\r\n\r\n{",
            "may have been accepted, and may run",
            Exit::Failed,
        ),
    ] {
        let hub = FakeHub::that_goes_away(begun).await;
        let ran = pipe(&hub, &["invoke", "deploy"]).await;
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
}

#[tokio::test]
async fn a_hub_that_was_never_reached_has_accepted_nothing() {
    let ran = pipe(&FakeHub::gone().await, &["invoke", "deploy"]).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(ran.err.contains("Is it running?"), "{ran:?}");
}
