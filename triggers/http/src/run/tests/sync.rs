//! Synchronous functions: their callers wait for the result.

use super::*;

fn sync_function() -> Function {
    Function {
        execution: Execution::Sync,
        ..test_function("work")
    }
}

#[tokio::test]
async fn a_sync_function_answers_with_its_result() {
    let site = Site::with_function(OPEN, sync_function()).await;
    let ending = |result: &'static [u8]| Ending {
        result: Some(Bytes::from_static(result)),
        ..Ending::new(End::Succeeded, Timestamp::from_millis(0), "exit_code")
    };
    for (result, kind) in [
        (b"<b>h\xc3\xa9</b>".as_slice(), "text/plain; charset=utf-8"),
        (b"\xff\x00".as_slice(), "application/octet-stream"),
    ] {
        site.around.dispatch().end_all(ending(result));
        let response = site.post("/orders/1").send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], kind);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(response.headers().contains_key("tripline-request-id"));
        assert!(!response.headers().contains_key("tripline-result-cut"));
        assert_eq!(response.bytes().await.expect("a body"), result);
    }
    let cut = Ending {
        result_cut: true,
        ..ending(b"lon")
    };
    site.around.dispatch().end_all(cut);
    let response = site.post("/orders/1").send().await.expect("an answer");
    assert_eq!(response.headers()["tripline-result-cut"], "true");
}

#[tokio::test]
async fn a_sync_function_that_ends_otherwise_says_how() {
    let site = Site::with_function(OPEN, sync_function()).await;
    for (end, status, kind) in [
        (End::Failed, 502, "function_failed"),
        (End::TimedOut, 504, "function_timed_out"),
        (End::Terminated, 502, "function_terminated"),
        (End::Lost, 502, "function_lost"),
        (End::Expired, 503, "function_expired"),
        (End::Cancelled, 503, "function_cancelled"),
    ] {
        let mut ending = Ending::new(end, Timestamp::from_millis(0), "some_reason");
        ending.result = Some(Bytes::from_static(b"half a result"));
        site.around.dispatch().end_all(ending);
        let response = site.post("/orders/1").send().await.expect("an answer");
        assert_eq!(response.status(), status, "{end:?}");
        let id = response.headers()["tripline-request-id"].clone();
        let problem = json(response).await;
        assert_eq!(problem["type"], format!("urn:tripline:{kind}"));
        assert_eq!(problem["request_id"], id.to_str().expect("text"));
        assert_eq!(problem["detail"], "some_reason");
    }
}

#[tokio::test]
async fn a_sync_caller_hears_that_the_hub_stops_and_what_to_ask_for() {
    let site = Site::with_function(OPEN, sync_function()).await;
    let asked = site.post("/orders/1").send();
    let stop = async {
        site.around.dispatch().wait_accepted(1).await;
        site.around.dispatch().stop();
    };
    let (response, ()) = tokio::join!(asked, stop);
    let response = response.expect("an answer");
    assert_eq!(response.status(), 503);
    let id = response.headers()["tripline-request-id"].clone();
    let problem = json(response).await;
    assert_eq!(problem["type"], "urn:tripline:not_waited_for");
    assert_eq!(problem["request_id"], id.to_str().expect("text"));
    assert!(problem["accepted"].is_null(), "{problem}");
}

#[tokio::test]
async fn a_caller_of_a_sync_function_that_leaves_stops_nothing() {
    let site = Site::with_function(OPEN, sync_function()).await;
    // Leaves once the event is on disk: the losing branch of `select!` is dropped, and its connection with it.
    let accepted = tokio::select! {
        _ = site.post("/orders/1").send() => panic!("its end was never recorded"),
        accepted = site.around.dispatch().wait_accepted(1) => accepted,
    };
    let ending = Ending::new(End::Succeeded, Timestamp::from_millis(0), "exit_code");
    site.around.dispatch().end(accepted[0].0, ending);
    let ended = site.around.dispatch();
    let ended = tripline_model::Dispatch::ended(ended.as_ref(), accepted[0].0).await;
    assert!(matches!(ended, Ok(Some(_))));
    assert_eq!(
        site.post("/elsewhere")
            .send()
            .await
            .expect("it serves on")
            .status(),
        404
    );
}
