use super::*;

const SHORT: Duration = Duration::from_secs(1);

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Runs against a target of that manner, and sees to it that it got exactly one request.
async fn against(manner: Manner, timeout: Duration) -> Ending {
    let fake = Target::new(manner).await;
    let ending = run(target(&fake.url("/")), start_within(timeout)).await;
    let seen = fake.seen();
    assert_eq!(
        (seen.connections, seen.requests.len()),
        (1, 1),
        "{ending:?}"
    );
    ending
}

async fn answered(head: &str, body: &[u8]) -> Ending {
    against(Manner::Answer(answer(head, body)), Duration::from_secs(10)).await
}

#[tokio::test]
async fn two_hundreds_succeed_and_nothing_else() {
    for (head, end) in [
        ("200 OK", End::Succeeded),
        ("202 Accepted", End::Succeeded),
        ("299 Odd", End::Succeeded),
        ("304 Not Modified", End::Failed),
        ("404 Not Found", End::Failed),
        ("429 Too Many Requests\r\nretry-after: 0", End::Failed),
        ("500 Oops", End::Failed),
        ("503 Busy\r\nretry-after: 0", End::Failed),
    ] {
        let ending = answered(head, b"").await;
        assert_eq!(how(&ending), (end, "http_status"), "{head}");
        let code = head.split(' ').next().unwrap();
        assert_eq!(detail(&ending).contains(code), end == End::Failed, "{head}");
        assert_eq!(ending.ran(), Some(true));
    }
    let ending = answered("500 Oops", b"why").await;
    assert_eq!(ending.result.as_deref(), Some(b"why".as_slice()));
}

#[tokio::test]
async fn no_content_is_an_empty_result() {
    let bytes = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let ending = against(Manner::AnswerAndStay(bytes), Duration::from_secs(10)).await;
    assert_eq!(how(&ending), (End::Succeeded, "http_status"));
    assert_eq!(
        (ending.result.as_deref(), ending.result_cut),
        (Some(b"".as_slice()), false)
    );
    assert!(ending.duration_ms.is_some());
}

#[tokio::test]
async fn a_redirect_loop_is_one_request() {
    let ending = answered("307 Temporary Redirect\r\nlocation: /", b"").await;
    assert_eq!(how(&ending), (End::Failed, "http_status"));
    assert_eq!(
        detail(&ending),
        "the target answered 307; redirects are not followed"
    );
}

#[tokio::test]
async fn a_target_that_hangs_or_drips_times_out() {
    let endings = tokio::join!(
        against(Manner::AnswerAndStay(Vec::new()), SHORT),
        against(Manner::AnswerAndStay(b"HTTP/1.1 200".to_vec()), SHORT),
        against(Manner::Drip, SHORT),
    );
    for ending in [endings.0, endings.1, endings.2] {
        assert_eq!(how(&ending), (End::TimedOut, "no_answer"));
        assert_eq!(ending.ran(), None);
        assert!(detail(&ending).contains("may still be working"));
        assert!(ending.duration_ms.unwrap() >= 1000);
    }
}

#[tokio::test]
async fn no_answer_is_lost() {
    let reset = |bytes: &[u8]| Manner::Reset(bytes.to_vec());
    let hang_up = |bytes: &[u8]| Manner::Answer(bytes.to_vec());
    for manner in [
        reset(b""),
        reset(b"HTTP/1.1 20"),
        hang_up(b""),
        hang_up(b"HTTP/1.1 200 OK\r\ncontent-len"),
        hang_up(b"SSH-2.0-OpenSSH_9.6\r\n"),
    ] {
        let ending = against(manner, Duration::from_secs(10)).await;
        assert_eq!(how(&ending), (End::Lost, "no_answer"), "{ending:?}");
        assert_eq!((ending.ran(), ending.result), (None, None));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_lost_unless_it_said_that_it_failed() {
    let half =
        |head: &str| format!("HTTP/1.1 {head}\r\ncontent-length: 10\r\n\r\nhalf").into_bytes();
    let ending = against(Manner::Answer(half("200 OK")), Duration::from_secs(10)).await;
    assert_eq!(how(&ending), (End::Lost, "no_answer"));
    assert!(
        detail(&ending).contains("200 broke off after 4 bytes"),
        "{ending:?}"
    );
    let ending = against(Manner::Answer(half("500 Oops")), Duration::from_secs(10)).await;
    assert_eq!(how(&ending), (End::Failed, "http_status"));
    assert_eq!(
        (ending.result.as_deref(), ending.result_cut),
        (Some(b"half".as_slice()), true)
    );
}

#[tokio::test]
async fn a_huge_answer_is_cut_and_not_waited_for() {
    let ending = against(Manner::Huge, Duration::from_secs(10)).await;
    assert_eq!(how(&ending), (End::Succeeded, "http_status"));
    assert_eq!(
        (ending.result.unwrap(), ending.result_cut),
        (vec![b'x'; 1024].into(), true)
    );
    // As long as is kept, and one more.
    let exact = answered("200 OK", &[b'y'; 1024]).await;
    assert_eq!(
        (exact.result.unwrap().len(), exact.result_cut),
        (1024, false)
    );
    let longer = answered("200 OK", &[b'y'; 1025]).await;
    assert_eq!(
        (longer.result.unwrap().len(), longer.result_cut),
        (1024, true)
    );
}

#[tokio::test]
async fn headers_without_end_are_not_read_to_their_end() {
    let header = format!("x: {}\r\n", "y".repeat(8000)).repeat(1000);
    let bytes = format!("HTTP/1.1 200 OK\r\n{header}").into_bytes();
    let ending = against(Manner::AnswerAndStay(bytes), Duration::from_secs(10)).await;
    assert_eq!(how(&ending), (End::Lost, "no_answer"), "{ending:?}");
}

#[tokio::test]
async fn a_compressed_answer_stays_compressed() {
    let bomb = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, b'!'];
    let ending = answered("200 OK\r\ncontent-encoding: gzip", &bomb).await;
    assert_eq!(how(&ending), (End::Succeeded, "http_status"));
    assert_eq!(ending.result.as_deref(), Some(bomb.as_slice()));
}

#[tokio::test]
async fn no_connection_means_that_no_code_ran() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let fake = Target::new(Manner::Answer(Vec::new())).await;
    for url in [
        format!("http://{address}/?token=secret"),
        // It speaks no TLS: the handshake fails before anything of the request is sent.
        format!("https://{}/?token=secret", fake.address),
    ] {
        let start = start_within(Duration::from_secs(30));
        let ending = run(target(&url), start).await;
        assert_eq!(how(&ending), (End::Failed, "start_failed"), "{url}");
        assert_eq!((ending.ran(), ending.status_code()), (Some(false), 405));
        assert!(!detail(&ending).contains("secret"), "{ending:?}");
    }
    assert_eq!(fake.seen().requests.len(), 0);
}

#[tokio::test]
async fn a_time_out_before_there_is_a_connection_is_no_run() {
    // The kernel takes the connection, and nobody answers its TLS.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let ending = run(target(&url), start_within(SHORT)).await;
    assert_eq!(how(&ending), (End::TimedOut, "not_started"), "{ending:?}");
    assert_eq!(ending.ran(), Some(false));
    assert!(detail(&ending).contains("nothing was sent"), "{ending:?}");
}

#[tokio::test]
async fn each_run_has_a_connection_of_its_own() {
    let fake = Target::new(Manner::AnswerAndStay(answer("200 OK", b"ok"))).await;
    let runtime = runtime(target(&fake.url("/")));
    for runs in 1..=3 {
        let (_stopper, stop) = stop_channel();
        let ending = runtime.run(start(), stop).await;
        assert_eq!(ending.end, End::Succeeded);
        fake.wait_until(|seen| seen.left == runs).await;
        let seen = fake.seen();
        assert_eq!((seen.connections, seen.requests.len()), (runs, runs));
    }
}

#[tokio::test]
async fn a_kill_hangs_up_and_a_polite_stop_does_not() {
    let fake = Target::new(Manner::AnswerAndStay(Vec::new())).await;
    let runtime = runtime(target(&fake.url("/")));
    let (stopper, stop) = stop_channel();
    stopper.stop(Stop::Graceful);
    let stopping = async {
        fake.wait_until(|seen| seen.requests.len() == 1).await;
        stopper.stop(Stop::Kill("hub_stopped"));
    };
    let (ending, ()) = tokio::join!(runtime.run(start(), stop), stopping);
    assert_eq!(how(&ending), (End::Terminated, "no_answer"));
    assert_eq!(ending.ran(), None);
    let words = detail(&ending);
    assert!(
        words.starts_with("hub_stopped: ") && words.ends_with("may still be working"),
        "{words}"
    );
    fake.wait_until(|seen| seen.left == 1).await;

    // Killed before it began: nothing is sent.
    let (stopper, stop) = stop_channel();
    stopper.stop(Stop::Kill("terminated"));
    let ending = runtime.run(start(), stop).await;
    assert_eq!(how(&ending), (End::Terminated, "not_started"));
    assert_eq!(ending.ran(), Some(false));
    assert_eq!(fake.seen().connections, 1);

    let (_stopper, stop) = stop_channel();
    let resumed = runtime.resume(start(), stop).await;
    assert_eq!(how(&resumed), (End::Lost, "hub_restarted"));
    assert_eq!((fake.seen().connections, runtime.held()), (1, Vec::new()));
}

#[tokio::test]
async fn dropping_a_run_hangs_up() {
    let fake = Target::new(Manner::AnswerAndStay(Vec::new())).await;
    let runtime = runtime(target(&fake.url("/")));
    let (_stopper, stop) = stop_channel();
    tokio::select! {
        ending = runtime.run(start(), stop) => panic!("{ending:?}"),
        () = fake.wait_until(|seen| seen.requests.len() == 1) => {}
    }
    fake.wait_until(|seen| seen.left == 1).await;
    assert_eq!(fake.seen().requests.len(), 1);
}
